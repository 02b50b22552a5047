/** The report's style sheet: one column on a phone, three on a desk; light or dark as the reader's system is. */
export const reportStyle = `
:root {
  color-scheme: light dark;
  --page: #f7f6f2; --card: #ffffff; --ink: #1d1f24; --soft: #666a73; --line: #e3e1da; --grid: #ecebe5;
  --decoder: #2f6fb2; --joint: #b03a7f; --third: #2e8b6b; --decoder-tint: #2f6fb212; --joint-tint: #b03a7f12;
  --right: #17683e; --right-tint: #1c7c4b1c; --wrong: #b23325; --wrong-tint: #c0392b1a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --card: #1c1f25; --ink: #e9e8e4; --soft: #9a9ea8; --line: #2c3038; --grid: #272b32;
    --decoder: #6fb1f0; --joint: #f084be; --third: #62cda5; --decoder-tint: #6fb1f014; --joint-tint: #f084be14;
    --right: #62cf95; --right-tint: #62cf9524; --wrong: #ff8a7a; --wrong-tint: #ff8a7a22;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  -webkit-text-size-adjust: 100%;
}
main { max-width: 1120px; margin: 0 auto; padding: 40px 20px 64px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; margin: 0; }
h2 { font-size: 19px; letter-spacing: -0.01em; margin: 48px 0 4px; }
h3 { font-size: 14px; margin: 0; }
p { margin: 0; }
.soft, .note { color: var(--soft); }
.note { font-size: 14px; margin-bottom: 16px; max-width: 84ch; }
h2 + .card, h2 + .next { margin-top: 12px; }
.kicker { font-size: 13px; letter-spacing: 0.08em; text-transform: uppercase; color: var(--soft); margin-bottom: 6px; }
.outcome { display: inline-block; font-size: 13px; font-weight: 600; padding: 2px 10px; border-radius: 99px; vertical-align: 5px; margin-left: 10px; }
.outcome.good { color: var(--right); background: var(--right-tint); }
.outcome.bad { color: var(--wrong); background: var(--wrong-tint); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }

.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 28px 0 0; }
.headline .card { padding: 14px 16px; }
.headline dt { font-size: 13px; color: var(--soft); }
.headline dd { margin: 2px 0 0; font-size: 28px; line-height: 1.15; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.headline .from { font-size: 13px; color: var(--soft); margin-top: 4px; }

.phases { display: flex; gap: 3px; margin-top: 14px; }
.phases > div { min-width: 116px; }
.phases .bar { height: 10px; border-radius: 5px; margin-bottom: 6px; }
.phases .decoder-only .bar { background: var(--decoder); }
.phases .joint .bar { background: var(--joint); }
.phases p { font-size: 13px; line-height: 1.35; }
.phases .name { font-weight: 600; }
.phases .decoder-only .name { color: var(--decoder); }
.phases .joint .name { color: var(--joint); }

.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 14px; }
.charts figure { margin: 0; padding: 14px 14px 8px; }
.charts figcaption { margin-bottom: 6px; }
.charts figcaption p { font-size: 12.5px; line-height: 1.4; color: var(--soft); min-height: 2.8em; }
.chart { display: block; width: 100%; height: auto; font-family: inherit; }
.chart .decoder-only { fill: var(--decoder-tint); }
.chart .joint { fill: var(--joint-tint); }
.chart .grid { stroke: var(--grid); fill: none; }
.chart .tick { fill: var(--soft); font-size: 10.5px; font-variant-numeric: tabular-nums; }
.chart .curve { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.chart .dot { fill: var(--card); stroke: var(--c); stroke-width: 1.8; }
.chart .spread { fill: var(--c); opacity: 0.16; stroke: none; }
.chart .level { stroke: var(--soft); stroke-dasharray: 3 3; fill: none; }
.chart .level-name { fill: var(--soft); font-size: 10.5px; }
.chart .end { fill: var(--c); }
.chart .end .value { font-size: 12.5px; font-weight: 650; font-variant-numeric: tabular-nums; }
.chart .end .name { font-size: 10px; }
.first { --c: var(--ink); } .second { --c: var(--decoder); } .third { --c: var(--third); } .fourth { --c: var(--joint); }

.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 14px; }
.picture { display: flex; flex-direction: column; overflow: hidden; }
.picture .frame { background: var(--grid); display: flex; justify-content: center; }
.picture img { display: block; width: 100%; height: 210px; object-fit: contain; }
.picture ol { list-style: none; margin: 0; padding: 6px 16px 10px; }
.picture li { padding: 8px 0; border-top: 1px solid var(--grid); }
.picture li:first-child { border-top: 0; }
.picture .when { font-size: 12px; color: var(--soft); display: flex; justify-content: space-between; gap: 8px; }
.picture .said { font-size: 15px; line-height: 1.4; overflow-wrap: anywhere; }
.picture li:last-child .said { font-weight: 600; }
.picture details { margin-top: auto; border-top: 1px solid var(--grid); font-size: 13px; color: var(--soft); }
.picture summary { cursor: pointer; padding: 9px 16px; }
.picture ul { margin: 0; padding: 0 16px 12px 32px; }
.color { border-radius: 4px; padding: 0 4px; margin: 0 -1px; font-weight: 600; white-space: nowrap; }
.color.right { color: var(--right); background: var(--right-tint); }
.color.wrong { color: var(--wrong); background: var(--wrong-tint); text-decoration: line-through; text-decoration-thickness: 1.5px; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 8px 14px; border-top: 1px solid var(--grid); white-space: nowrap; }
tr:first-child > * { border-top: 0; }
th:first-child, td:first-child { text-align: left; }
thead th { color: var(--soft); font-weight: 500; }
tbody th { font-weight: 600; }

.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 0 28px; margin: 0; padding: 8px 18px; }
.facts div { padding: 8px 0; border-bottom: 1px solid var(--grid); min-width: 0; }
.facts dt { font-size: 12.5px; color: var(--soft); }
.facts dd { margin: 0; font-size: 14.5px; overflow-wrap: anywhere; }
.mono, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12.5px; }
.next { display: grid; gap: 12px; }
.next p { font-size: 14px; margin-bottom: 4px; }
pre { margin: 0; padding: 11px 14px; overflow-x: auto; white-space: pre; }
footer { margin-top: 48px; font-size: 13px; color: var(--soft); }
@media (max-width: 480px) { main { padding: 24px 14px 40px; } h1 { font-size: 25px; } .headline { grid-template-columns: 1fr 1fr; } .headline dd { font-size: 24px; } .picture img { height: 180px; } }
@media print { body { background: #fff; } .card { break-inside: avoid; } }
`;
