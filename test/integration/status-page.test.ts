/**
 * The status page in a real browser: of an agent on a real Kafka, and of one with malicious texts.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { AgentStatus } from '@kafnus/agent-runtime';
import { Telemetry } from '@kafnus/agent-runtime';
import { withKafka, type Describe } from '@kafnus/agent-testkit';
import {
  AgentProcess,
  createTopics,
  produceAll,
  readAll,
  startLocalKafka,
  type LocalKafka,
  type RecordToWrite,
} from '@kafnus/local-stack';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Browser, type ConsoleMessage, type Page } from 'playwright-core';
import { createHttp } from '../../libs/agent-runtime/src/http.js';
import { notification } from './notifications.js';

jest.setTimeout(400_000);

/**
 * STATUS_PAGE_IMAGE=docs/images/status-page.png updates the screenshot of the docs, after three
 * minutes of data.
 */
const picture = process.env['STATUS_PAGE_IMAGE'];
const executablePath = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const adminToken = 'a-token-that-nobody-shall-see';

/** Skips the suites with a reason when Chromium is missing; under CI=true they run and fail. */
function withChromium(run: Describe): Describe {
  if (executablePath !== undefined || process.env['CI'] === 'true') return run;
  const skip: Describe['skip'] = (name, suite) =>
    run.skip(`${name} [skipped: there is no Chromium, try make setup-chromium]`, suite);
  return Object.assign(skip, { skip: run.skip });
}

/**
 * An endless sequence of notifications of three tenants. One of `each` is malformed: no JSON, no
 * entity, or no TimeInstant.
 */
function* notifications(each: number): Generator<RecordToWrite, never> {
  for (let sequence = 0; ; sequence += 1) {
    const service = ['harbour', 'parks', 'city'][sequence % 3] ?? 'city';
    const { key, value, headers } = notification(`Sensor:${sequence % 100}`, sequence, { service });
    const odd = [value.slice(0, -1), '{"data":[]}', value.replace('TimeInstant', 'SomeInstant')];
    const text = sequence % each === each - 1 ? odd[Math.floor(sequence / each) % odd.length] : value;
    yield { topic: 'raw_historic', key, value: text ?? value, headers };
  }
}

let browser: Browser;

async function launch(): Promise<void> {
  if (executablePath === undefined) throw new Error('there is no /usr/bin/chromium: try make setup-chromium');
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'];
  args.push('--disable-background-networking', '--disable-component-update');
  browser = await chromium.launch({ executablePath, args });
}

/**
 * A page with the browser's errors: script errors and violations of the Content-Security-Policy.
 */
async function open(url: string): Promise<{ page: Page; complaints: string[]; foreign: string[] }> {
  const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
  page.setDefaultTimeout(60_000);
  const complaints: string[] = [];
  const foreign: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message: ConsoleMessage) => {
    // The browser's message about a failed request.
    if (!message.text().startsWith('Failed to load resource: net::')) complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) foreign.push(request.url());
  });
  await page.goto(url);
  return { page, complaints, foreign };
}

/** Waits until an element's text matches. @throws Error of the browser after a minute */
async function shows(page: Page, selector: string, text: RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).waitFor();
}

withKafka(withChromium(describe))('the status page of a running agent', () => {
  let kafka: LocalKafka;
  let agent: AgentProcess;
  let url: string;
  let flows = false;

  beforeAll(async () => {
    kafka = await startLocalKafka();
    await createTopics(kafka.bootstrapServers, [{ topic: 'raw_historic', partitions: 2 }]);
    const env = { KAFNUS_INSTANCE_ID: 'historic-0', KAFNUS_ADMIN_TOKEN: adminToken };
    agent = new AgentProcess({ agent: 'historic', brokers: kafka.bootstrapServers, env });
    await agent.ready();
    url = `http://${/"http":"([^"]+)"/.exec(agent.log)?.[1]}/`;
    await launch();
  });

  afterAll(async () => {
    flows = false;
    await browser?.close();
    await agent?.kill();
    await kafka?.stop();
  });

  test('shows records, rejects and rates, and reports a lost broker or agent', async () => {
    const { page, complaints, foreign } = await open(url);
    await page.getByRole('heading', { name: 'historic', exact: true }).waitFor();
    await shows(page, '#state', /^running$/);
    await page.getByRole('status').filter({ hasText: 'All is well. 2 partitions are read.' }).waitFor();
    expect(await page.getByRole('region', { name: 'Partitions of this process' }).locator('tbody tr').count()).toBe(2);
    await shows(page, '#rejects-none', /None since this process started/);

    flows = true;
    const flow = (async () => {
      const records = notifications(picture === undefined ? 40 : 1001);
      for (let round = 0; flows; round += 1) {
        const size = 20 + Math.round(12 * Math.sin(round / 120) + 4 * Math.sin(round / 17));
        await produceAll(
          kafka.bootstrapServers,
          Array.from({ length: size }, () => records.next().value),
        );
        await sleep(100);
      }
    })();
    await shows(page, '#rejects', /not-json/);
    await page.getByRole('img', { name: /^Records in, the last \d+ minutes: now .*[1-9]/ }).waitFor();
    await page.getByRole('img', { name: /^Outputs, the last \d+ minutes: now .*[1-9]/ }).waitFor();
    await page.getByRole('img', { name: /^Rejects, the last \d+ minutes: .* highest .*[1-9]/ }).waitFor();
    // A line needs two samples.
    const curves = await page.locator('.curve').count();
    expect(curves).toBeGreaterThan(0);
    await page
      .locator('.curve[d^="M"][d*="L"]')
      .nth(curves - 1)
      .waitFor();
    if (picture !== undefined) await page.getByText('3 min ago').first().waitFor({ timeout: 300_000 });
    await page.screenshot({ path: picture ?? '.cache/test/status-page.png', fullPage: true });
    flows = false;
    await flow;

    // The page must agree with the topics.
    const { ledger } = await agent.until('done', ({ assignment }) => assignment.every(({ lag }) => lag === 0));
    await shows(page, '#sum-read', new RegExp(`^${ledger.read.toLocaleString('en')}$`));
    await shows(page, '#sum-emitted', new RegExp(`^${ledger.emitted.toLocaleString('en')}$`));
    const deadLetters = (await readAll(kafka.bootstrapServers, 'raw_errors')).map(({ headers }) => {
      const header = (name: string): string => String(headers.find((each) => name in each)?.[name]);
      return `raw_historic / ${header('__connect.errors.partition')}@${header('__connect.errors.offset')}`;
    });
    await shows(page, '#sum-rejected', new RegExp(`^${deadLetters.length}$`));
    const rows = await page.locator('#rejects tbody tr').all();
    const places = await Promise.all(
      rows.map(async (row) => (await row.locator('td').allInnerTexts()).slice(-2).join('@')),
    );
    expect(places).toHaveLength(Math.min(deadLetters.length, 50));
    expect(deadLetters).toEqual(expect.arrayContaining(places));

    await page.getByText('Configuration in force').click();
    await page.getByRole('row', { name: 'adminToken *** environment variable KAFNUS_ADMIN_TOKEN' }).waitFor();
    expect(await page.content()).not.toContain(adminToken);

    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await page.evaluate(poorContrast)).toEqual([]);
    }

    await kafka.brokers[0]?.kill('SIGKILL');
    await shows(page, '#summary.warn', /the cluster does not answer|partitions were lost/);
    await kafka.brokers[0]?.start();
    await shows(page, '#summary.good', /All is well/);

    agent.pause();
    const alert = page.getByRole('alert');
    await alert.filter({ hasText: 'it takes longer than 5 s' }).waitFor();
    expect(await page.title()).toMatch(/no answer/);
    agent.resume();
    await alert.waitFor({ state: 'hidden' });
    await agent.stop();
    await alert.filter({ hasText: 'The agent has not answered since' }).waitFor();
    await alert.filter({ hasText: 'there is no connection' }).waitFor();

    expect({ complaints, foreign }).toEqual({ complaints: [], foreign: [] });
  });
});

/** Visible texts whose contrast with their background is below WCAG 2.1 AA (4.5). */
const poorContrast = `(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((part) => part / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll('body *')].filter((element) =>
    element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''));
  if (texts.length < 20) return ['too few texts for a check'];
  return texts.flatMap((element) => {
    const [high, low] = [numbers(getComputedStyle(element).color), behind(element)].map(luminance).sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    return contrast < 4.5 ? [element.textContent + ': ' + contrast.toFixed(2)] : [];
  });
})()`;

withChromium(describe)('the status page of an agent with malicious texts', () => {
  beforeAll(launch);
  afterAll(() => browser?.close());

  const harm = '</script><script>document.title="harmed"</script><img src=x onerror=alert(1)>"\'';
  const turned = 'abc\u202edcba\u200f\u0000';

  test('shows them as text, and invisible characters as code points', async () => {
    const status: AgentStatus = {
      agent: harm,
      instance: turned,
      version: harm,
      state: 'running',
      since: new Date().toISOString(),
      problem: `${harm}${'x'.repeat(1000)}`,
      stalled: false,
      assignment: [
        {
          topic: harm,
          partition: 0,
          state: 'restoring',
          position: null,
          committed: null,
          end: null,
          lag: null,
          restore: { entries: 5, offset: 5, end: 10 },
        },
      ],
      lag: 0,
      lastCommit: null,
      stateEntries: 5,
      ledger: { read: 1, emitted: 0, rekeyed: 0, skipped: { [harm]: 1 }, rejected: { ['__proto__']: 1 }, tenants: {} },
    };
    const telemetry = new Telemetry({
      agent: 'historic',
      instance: 'one',
      version: '0',
      level: 'silent',
      maxTenantLabels: 1,
      processMetrics: false,
    });
    const server = createHttp({
      status: () => status,
      ready: () => ({ ready: false, reason: harm }),
      live: () => ({ live: true, reason: harm }),
      telemetry,
      printableConfig: { [harm]: { value: { [harm]: harm }, source: harm } },
      adminToken: '',
      host: '127.0.0.1',
      port: 0,
    });
    const { port } = await server.listen();
    try {
      const { page, complaints, foreign } = await open(`http://127.0.0.1:${port}/`);
      expect(await page.locator('h1').textContent()).toBe(harm);
      expect(await page.locator('#instance').textContent()).toBe('abc\\u{202e}dcba\\u{200f}\\u{0}');
      expect(await page.locator('#summary').textContent()).toMatch(/^<\/script>.*x… \(1,0\d\d characters\)$/);
      expect(await page.locator('#assignment tbody tr').allInnerTexts()).toEqual([
        expect.stringMatching(/<img src=x onerror=alert\(1\)>"' \/ 0\s+restoring: 5 entries/),
      ]);
      expect(await page.getByRole('progressbar').getAttribute('max')).toBe('10');
      expect(await page.locator('#reasons tbody th').allTextContents()).toEqual(['__proto__', harm]);
      await page.locator('summary').click();
      await page.locator('#config tbody td').filter({ hasText: 'onerror' }).first().waitFor();
      // A poll has redrawn every part.
      await page.waitForResponse((response) => response.url().endsWith('/status.json'));
      expect(await page.title()).toContain(harm);
      expect(await page.locator('img').count()).toBe(0);
      expect(await page.locator('script').count()).toBe(2);
      expect({ complaints, foreign }).toEqual({ complaints: [], foreign: [] });

      // The Content-Security-Policy blocks injected HTML and scripts.
      const inject =
        "const script = document.createElement('script'); script.append('harmed = 1'); document.body.append(script)";
      await page.evaluate(inject);
      await expect(page.evaluate("document.body.innerHTML = '<b>harm</b>'")).rejects.toThrow('TrustedHTML');
      expect(await page.evaluate('typeof harmed')).toBe('undefined');
      expect(complaints.join()).toContain('The action has been blocked');
    } finally {
      await server.close();
    }
  });
});
