/** The dashboards of deploy/dashboards. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../deploy/dashboards/', import.meta.url));

interface Datasource {
  readonly type: string;
  readonly uid: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: Datasource;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly {
    readonly expr: string;
    readonly legendFormat: string;
    readonly datasource: Datasource;
  }[];
}

export interface Dashboard {
  readonly file: string;
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly query: string }[];
  };
}

export const dashboards: readonly Dashboard[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({ ...(JSON.parse(readFileSync(folder + file, 'utf8')) as Dashboard), file }));

/** A query of a panel; `place` is for the messages of failed tests. */
export interface PanelQuery {
  readonly place: string;
  readonly expr: string;
  /** The labels in the legend. */
  readonly legend: readonly string[];
}

export function queriesOf({ file, panels }: Dashboard): readonly PanelQuery[] {
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({
      place: `${file}, "${title}": ${expr}`,
      expr,
      legend: [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label),
    })),
  );
}

/** Substitutes Grafana's variables. @throws Error for a variable without a value */
export function interpolated(expr: string, values: Readonly<Record<string, string>>): string {
  return expr.replace(/\$(\w+)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no variable $${name}: ${expr}`);
    return value;
  });
}
