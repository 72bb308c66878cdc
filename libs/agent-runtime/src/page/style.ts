/** The style of the status page: for phones, dark systems, and without colours as the only sign. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #f4f6f8; --card: #ffffff; --line: #dde2e8; --text: #18212c; --quiet: #55606e;
  --in: #1f66b0; --out: #0f766e; --reject: #b3402a; --lag: #8a5a00; --link: #1f5fa8;
  --good: #0f6b3a; --good-back: #e0f3e7; --warn: #734a00; --warn-back: #fdf0d2; --bad: #98241a; --bad-back: #fce3df;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151b; --card: #181f27; --line: #2c3641; --text: #e7ebf0; --quiet: #a5b0bd;
    --in: #74b3f2; --out: #5fcbb9; --reject: #f5907b; --lag: #e3ba5b; --link: #8fc1f5;
    --good: #86dfaa; --good-back: #143524; --warn: #f2cd7e; --warn-back: #3a2c0c; --bad: #ffaa9e; --bad-back: #44191a;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 68rem; padding: 1.25rem 1rem 2rem; background: var(--page); color: var(--text);
  font: 0.9375rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
h1, h2, h3, p, dl, dd, figure { margin: 0; }
h1 { font-size: 1.625rem; line-height: 1.2; letter-spacing: -0.01em; }
h2 { font-size: 1rem; margin-bottom: 0.625rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
[hidden] { display: none !important; }

#lost {
  position: sticky; top: 0.5rem; z-index: 1; margin-bottom: 1rem; padding: 0.75rem 1rem; border-radius: 0.5rem;
  background: var(--bad-back); color: var(--bad); border: 1px solid currentColor; font-weight: 600;
}
.stale #shown { opacity: 0.6; filter: grayscale(1); }

header { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 0.75rem; }
.pill { padding: 0.0625rem 0.75rem; border-radius: 1rem; font-weight: 600; border: 1px solid transparent; }
.good { color: var(--good); background: var(--good-back); }
.warn { color: var(--warn); background: var(--warn-back); }
.bad { color: var(--bad); background: var(--bad-back); }
#summary {
  margin: 0.75rem 0; padding: 0.625rem 1rem; border-radius: 0.5rem; border-left: 0.3125rem solid currentColor;
  overflow-wrap: anywhere;
}
#facts { display: flex; flex-wrap: wrap; gap: 0.375rem 1.75rem; margin-bottom: 1rem; }
#facts div { display: flex; gap: 0.5rem; }
dt { color: var(--quiet); }
dd { overflow-wrap: anywhere; }

.charts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(9.75rem, 1fr)); gap: 0.75rem; margin-bottom: 0.75rem;
}
section, figure {
  background: var(--card); border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.875rem 1rem; min-width: 0;
}
section { margin-bottom: 0.75rem; }
figcaption {
  display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: 0 0.75rem;
  color: var(--quiet);
}
figcaption b { color: var(--text); font-size: 1.375rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
figure svg {
  display: block; width: 100%; height: 3.5rem; margin-top: 0.375rem; overflow: visible;
  border-bottom: 1px solid var(--line);
}
figure .curve {
  fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linejoin: round; vector-effect: non-scaling-stroke;
}
figure .area { fill: currentColor; opacity: 0.14; }
figure .scale {
  display: flex; justify-content: space-between; color: var(--quiet); font-size: 0.8125rem; margin-top: 0.25rem;
}
#in svg { color: var(--in); }
#out svg { color: var(--out); }
#rejected svg { color: var(--reject); }
#lag svg { color: var(--lag); }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td {
  text-align: left; padding: 0.3125rem 1rem 0.3125rem 0; border-top: 1px solid var(--line); vertical-align: top;
  unicode-bidi: isolate;
}
thead th { color: var(--quiet); font-weight: 500; border-top: 0; white-space: nowrap; }
tbody th { font-weight: 500; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; }
.time { white-space: nowrap; }
.code {
  font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: 0.875em;
  white-space: nowrap;
}
.free { min-width: 9rem; white-space: normal; overflow-wrap: anywhere; }
.note { color: var(--quiet); margin-top: 0.5rem; }
progress { width: 9rem; max-width: 100%; vertical-align: middle; margin-right: 0.5rem; accent-color: var(--in); }
#sum {
  display: flex; flex-wrap: wrap; align-items: baseline; gap: 0.25rem 0.625rem; margin-bottom: 0.5rem;
  color: var(--quiet);
}
#sum b { color: var(--text); font-size: 1.375rem; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; font-weight: 600; }
details .scroll { margin-top: 0.625rem; }
tr.given th { font-weight: 700; }
footer { color: var(--quiet); display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; padding-top: 0.25rem; }
@media (max-width: 30rem) {
  .scale .from, .scale .now { display: none; }
  figcaption { flex-direction: column; align-items: stretch; }
}
@media (prefers-reduced-motion: no-preference) { #shown { transition: opacity 0.3s; } }
`;
