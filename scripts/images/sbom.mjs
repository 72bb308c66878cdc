/**
 * Prints the SBOM of an image as a CycloneDX 1.6 document: Node.js, librdkafka, npm and Debian
 * packages. It runs inside the image: `node sbom.mjs FOLDER`, with the suite's package.json and
 * node_modules in FOLDER. The document is reproducible: it contains no date and no random number.
 */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const suite = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** A licence as npm writes it: an SPDX expression, or since long ago an object. */
function licensed(license) {
  const text = typeof license === 'object' ? license?.type : license;
  return text === undefined ? {} : { licenses: [{ expression: text }] };
}

function component(type, purl, name, version, rest = {}) {
  return { type, 'bom-ref': purl, name, version, purl, ...rest };
}

function npmPackages() {
  const manifests = globSync('{**/node_modules/*,**/node_modules/@*/*}/package.json', { cwd: folder });
  return manifests.sort().flatMap((path) => {
    const { name, version, license, librdkafka } = JSON.parse(readFileSync(join(folder, path), 'utf8'));
    if (name === undefined || version === undefined) return [];
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    const found = [component('library', purl, name, version, licensed(license))];
    if (librdkafka !== undefined) {
      const native = `pkg:github/confluentinc/librdkafka@v${librdkafka}`;
      found.push(component('library', native, 'librdkafka', librdkafka, licensed('BSD-2-Clause')));
    }
    return found;
  });
}

function debianPackages() {
  const os = Object.fromEntries(
    readFileSync('/etc/os-release', 'utf8')
      .split('\n')
      .map((line) => line.split('='))
      .map(([key, value = '']) => [key, value.replaceAll('"', '')]),
  );
  const format = '${Package}\\t${Version}\\t${Architecture}\\n';
  const lines = execFileSync('dpkg-query', ['--show', `--showformat=${format}`], { encoding: 'utf8' })
    .trim()
    .split('\n');
  return lines.map((line) => {
    const [name, version, architecture] = line.split('\t');
    const where = `arch=${architecture}&distro=${os.ID}-${os.VERSION_ID}`;
    const purl = `pkg:deb/${os.ID}/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${where}`;
    return component('library', purl, name, version);
  });
}

const node = process.versions.node;
const components = [
  component('application', `pkg:generic/node@${node}`, 'node', node, licensed('MIT')),
  ...npmPackages(),
  ...debianPackages(),
];
const document = {
  $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  version: 1,
  metadata: {
    component: {
      type: 'application',
      'bom-ref': suite.name,
      name: suite.name,
      version: suite.version,
      ...licensed(suite.license),
    },
  },
  components: [...new Map(components.map((entry) => [entry['bom-ref'], entry])).values()],
};
process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
