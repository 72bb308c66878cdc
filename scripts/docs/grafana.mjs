/**
 * Converts rows of panels to the JSON that Grafana imports.
 *
 * A panel is `{ title, description, queries: [[expr, legend], ...], unit?, ... }`, see
 * {@link PanelDefinition}; its position is computed.
 *
 * @typedef {object} PanelDefinition
 * @property {string} title
 * @property {string} description What an operator reads from it.
 * @property {[string, string][]} queries PromQL and the legend of its series.
 * @property {'timeseries' | 'stat' | 'bargauge'} [type]
 *   Default: timeseries. The others show the last value.
 * @property {string} [unit] One of Grafana's, default `short`.
 * @property {number} [decimals]
 * @property {number} [max]
 * @property {boolean} [stacked]
 * @property {{ warning?: number, critical?: number, below?: boolean }} [limits] Where values turn
 * orange and red; `below`: where they fall below it.
 * @property {string} [none] What to show where nothing is found.
 * @property {number} [width] Of 24 columns, default 8.
 */

const datasource = { type: 'prometheus', uid: '${datasource}' };
const gridColumns = 24;

/**
 * @param {{ uid: string, title: string, description: string, variables: object[],
 *   rows: { title: string, panels: PanelDefinition[] }[] }} definition
 */
export function dashboard({ uid, title, description, variables, rows }) {
  return {
    uid,
    title,
    description,
    tags: ['kafnus'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    timezone: 'browser',
    links: [
      {
        type: 'dashboards',
        title: 'Kafnus',
        tags: ['kafnus'],
        asDropdown: true,
        keepTime: true,
        includeVars: true,
        icon: 'external link',
        targetBlank: false,
        tooltip: '',
        url: '',
      },
    ],
    annotations: {
      list: [
        {
          name: 'Alerts',
          datasource,
          enable: true,
          hide: false,
          iconColor: 'red',
          expr: 'ALERTS{alertname=~"Kafnus.+",alertstate="firing"}',
          titleFormat: '{{alertname}}',
          textFormat: '{{agent}} {{instance}} {{tenant}}',
        },
      ],
    },
    templating: { list: variables },
    panels: placed(rows),
  };
}

/** The variable for the Prometheus data source. */
export function datasourceVariable() {
  return { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus', hide: 0 };
}

/**
 * A variable with the values of a label. Several values and all can be selected unless `single`.
 * "All" also matches series without the label: outside of Kubernetes there is no namespace.
 */
export function labelVariable(name, metric, { single = false } = {}) {
  const query = `label_values(${metric}, ${name})`;
  const common = {
    name,
    label: name,
    type: 'query',
    datasource,
    definition: query,
    query,
    refresh: 2,
    sort: 1,
    hide: 0,
  };
  return single
    ? { ...common, multi: false, includeAll: false }
    : { ...common, multi: true, includeAll: true, allValue: '.*', current: { text: 'All', value: '$__all' } };
}

function placed(rows) {
  const panels = [];
  let y = 0;
  for (const row of rows) {
    panels.push({
      type: 'row',
      title: row.title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: gridColumns, h: 1 },
      id: panels.length + 1,
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const definition of row.panels) {
      const w = definition.width ?? 8;
      const h = (definition.type ?? 'timeseries') === 'stat' ? 4 : 8;
      if (x + w > gridColumns) {
        x = 0;
        y += height;
        height = 0;
      }
      panels.push({ ...panel(definition), gridPos: { x, y, w, h }, id: panels.length + 1 });
      x += w;
      height = Math.max(height, h);
    }
    y += height;
  }
  return panels;
}

function panel(definition) {
  const { title, description, queries, type = 'timeseries', unit = 'short', decimals, max, limits, none } = definition;
  const instant = type !== 'timeseries';
  return {
    type,
    title,
    description,
    datasource,
    targets: queries.map(([expr, legendFormat], index) => ({
      refId: String.fromCharCode(65 + index),
      datasource,
      expr,
      legendFormat,
      range: !instant,
      instant,
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(max === undefined ? {} : { max }),
        ...(decimals === undefined ? {} : { decimals }),
        ...(none === undefined ? {} : { noValue: none }),
        ...(limits === undefined
          ? { color: { mode: 'palette-classic' } }
          : { color: { mode: instant ? 'thresholds' : 'palette-classic' } }),
        thresholds: thresholds(limits),
        custom: instant ? {} : lines(definition),
      },
      overrides: [],
    },
    options: options(type),
  };
}

function thresholds({ warning, critical, below = false } = {}) {
  const step = (color, value) => (value === undefined ? [] : [{ color, value }]);
  const steps = below
    ? [{ color: 'red', value: null }, ...step('green', critical)]
    : [{ color: 'green', value: null }, ...step('orange', warning), ...step('red', critical)];
  return { mode: 'absolute', steps };
}

function lines({ stacked = false, limits }) {
  return {
    drawStyle: 'line',
    lineWidth: 1,
    fillOpacity: stacked ? 40 : 10,
    showPoints: 'never',
    spanNulls: false,
    stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
    thresholdsStyle: { mode: limits === undefined ? 'off' : 'dashed' },
  };
}

function options(type) {
  const reduceOptions = { calcs: ['lastNotNull'], fields: '', values: false };
  switch (type) {
    case 'stat':
      return { reduceOptions, colorMode: 'value', graphMode: 'none', textMode: 'value_and_name', orientation: 'auto' };
    case 'bargauge':
      return { reduceOptions, displayMode: 'basic', orientation: 'horizontal', showUnfilled: true };
    default:
      return {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
        tooltip: { mode: 'multi', sort: 'desc' },
      };
  }
}
