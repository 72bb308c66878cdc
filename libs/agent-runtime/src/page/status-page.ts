/**
 * The status page, `GET /`: one file without anything from elsewhere. Its policy lets the browser
 * run its script and style and nothing else, so that no text of a topic, a tenant or a broker can
 * become code, wherever it slips through.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { StatusReport } from '../status.js';
import { style } from './style.js';

/** Emitted beside this file, but checked with the types of a browser: see its tsconfig.json. */
const file = readFileSync(new URL('browser/status-page.js', import.meta.url), 'utf8');
const script = file.replace(/\/\/# sourceMappingURL=.*/, '');

/** Headers of the page: CSP level 3 and Trusted Types. */
export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
};

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** @param report what is shown before the first poll */
export function statusPage(report: StatusReport): string {
  // Within <script> only "<" can end the text or change how it is read; JSON has an escape for it.
  const json = JSON.stringify(report).replaceAll('<', '\\u003c');
  return `${before}<script type="application/json" id="report">${json}</script>\n${after}`;
}

const chart = (id: string, name: string): string => `
    <figure id="${id}">
      <figcaption><span class="name">${name}</span> <b></b></figcaption>
      <svg role="img" viewBox="0 0 200 40" preserveAspectRatio="none"><path class="area"/><path class="curve"/></svg>
      <p class="scale"><span class="from"></span><span class="peak"></span><span class="now">now</span></p>
    </figure>`;

const charts = [
  chart('in', 'Records in'),
  chart('out', 'Outputs'),
  chart('rejected', 'Rejects'),
  chart('lag', 'Lag'),
].join('');

const table = (id: string, columns: readonly string[], none: string): string => `
    <div class="scroll" role="region" tabindex="0" aria-labelledby="${id}-title">
      <table id="${id}" hidden aria-labelledby="${id}-title">
        <thead><tr>${columns.map(column).join('')}</tr></thead>
        <tbody></tbody>
      </table>
    </div>
    <p id="${id}-none" hidden>${none}</p>`;

/** A column of numbers is named with a leading `#`. */
function column(name: string): string {
  return name.startsWith('#') ? `<th scope="col" class="number">${name.slice(1)}</th>` : `<th scope="col">${name}</th>`;
}

const before = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Kafnus agent</title>
<style>${style}</style>
<body>
<p id="lost" role="alert" hidden></p>
<noscript><p class="bad">This page needs JavaScript. <a href="health">/health</a> says the same as JSON.</p></noscript>
<main id="shown">
  <header><h1 id="agent"></h1> <span id="state" class="pill"></span></header>
  <p id="summary" role="status"></p>
  <dl id="facts">
    <div><dt>Instance</dt><dd id="instance"></dd></div>
    <div><dt>Version</dt><dd id="version"></dd></div>
    <div><dt>Since</dt><dd id="since"></dd></div>
    <div><dt>Last commit</dt><dd id="last-commit"></dd></div>
    <div><dt>Entries of state</dt><dd id="entries"></dd></div>
  </dl>
  <div class="charts">${charts}
  </div>
  <section>
    <h2 id="assignment-title">Partitions of this process</h2>${table('assignment', ['Topic / partition', 'State', '#Lag', '#Position', '#End'], 'None.')}
  </section>
  <section>
    <h2 id="reasons-title">What became of the records</h2>
    <p id="sum">
      <b id="sum-read"></b> read = <b id="sum-emitted"></b> emitted + <b id="sum-rekeyed"></b> re-keyed + <b id="sum-skipped"></b> skipped
      + <b id="sum-rejected"></b> rejected
    </p>${table('reasons', ['Reason', 'Outcome', '#Records'], 'Nothing was skipped or rejected.')}
    <p class="note">Committed by this process since it started.</p>
  </section>
  <section>
    <h2 id="rejects-title">Last rejects</h2>${table(
      'rejects',
      ['Time', 'Tenant', 'Reason', 'Topic / partition', '#Offset'],
      'None since this process started.',
    )}
    <p class="note">The dead-letter topic has each of them, with the reason in words in its headers.</p>
  </section>
  <section>
    <details id="config">
      <summary id="config-title">Configuration in force</summary>
      <div class="scroll" role="region" tabindex="0" aria-labelledby="config-title">
        <table aria-labelledby="config-title">
          <thead><tr><th scope="col">Setting</th><th scope="col">Value</th><th scope="col">From</th></tr></thead>
          <tbody></tbody>
        </table>
      </div>
    </details>
  </section>
</main>
<footer>
  <span>Times are UTC.</span> <a href="health">/health</a> <a href="metrics">/metrics</a> <a href="config">/config</a>
  <a href="status.json">/status.json</a>
</footer>
`;

const after = `<script type="module">${script}</script>
</body>
</html>
`;
