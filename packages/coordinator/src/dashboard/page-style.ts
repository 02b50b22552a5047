import { reportStyle } from '../evaluation/report-style.js';

/** The page's style sheet: the report's, and what moves. */
export const pageStyle = `${reportStyle}
:root {
  --fourth: #b06a10; --fifth: #6a52b8;
  --part-compute: #2f6fb2; --part-data: #2e8b6b; --part-exchange: #b03a7f; --part-update: #b06a10; --part-wait: #a9acb3;
  --sure-0: #f3c3b8; --sure-1: #f7dcc2; --sure-2: #f3ebc4; --sure-3: #e0eed2; --sure-4: #cdeada;
}
@media (prefers-color-scheme: dark) {
  :root {
    --fourth: #e9a857; --fifth: #a998f0;
    --part-compute: #6fb1f0; --part-data: #62cda5; --part-exchange: #f084be; --part-update: #e9a857; --part-wait: #5a5f69;
    --sure-0: #6b2a22; --sure-1: #63421f; --sure-2: #55501f; --sure-3: #37502a; --sure-4: #1f4f38;
  }
}
[hidden] { display: none !important; }
body[data-view="run"] .of-runs, body[data-view="runs"] .of-run, body[data-view=""] .of-runs, body[data-view=""] .of-run { display: none; }
a { color: var(--decoder); }
:focus-visible { outline: 2px solid var(--decoder); outline-offset: 2px; border-radius: 4px; }
main:focus { outline: none; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 8px; top: 8px; background: var(--card); padding: 8px; z-index: 3; }
#connection:empty, #reason:empty, #answer:empty { display: none; }
section { scroll-margin-top: 12px; }
section h2 { margin-bottom: 12px; }

button {
  font: inherit; font-size: 14px; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 6px 14px; min-height: 34px; cursor: pointer;
}
button:hover { border-color: var(--soft); }
button:disabled { color: var(--soft); cursor: default; opacity: 0.55; }
button.bad { color: var(--wrong); }
#controls { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin-top: 14px; }
#answer { font-size: 14px; color: var(--soft); }
dialog { background: var(--card); color: var(--ink); border: 1px solid var(--line); border-radius: 12px; max-width: 440px; padding: 22px; }
dialog p { margin-bottom: 16px; }
dialog::backdrop { background: #0008; }

#phase-line { margin-top: 26px; position: relative; }
#track { position: relative; height: 12px; border-radius: 6px; overflow: hidden; background: color-mix(in srgb, var(--decoder) 22%, var(--page)); }
#track .joint-part { position: absolute; inset: 0; left: var(--switch, 100%); background: color-mix(in srgb, var(--joint) 22%, var(--page)); }
#track .done-part { position: absolute; inset: 0; right: calc(100% - var(--done, 0%));
  background: linear-gradient(to right, var(--decoder) 0 100%); }
#track .done-part::after { content: ""; position: absolute; inset: 0; }
#track::after { content: ""; position: absolute; inset: 0; left: var(--switch, 100%); right: max(0%, calc(100% - var(--done, 0%))); background: var(--joint); }
#marks { position: absolute; left: 0; right: 0; top: -8px; height: 28px; pointer-events: none; }
.mark { position: absolute; pointer-events: auto; }
.mark.evaluation { top: 3px; width: 5px; height: 5px; margin-left: -2px; background: var(--ink); border-radius: 1px; cursor: pointer; }
.mark.checkpoint { top: 21px; width: 6px; height: 6px; margin-left: -3px; border-radius: 50%; background: var(--third); }
.mark.switch { top: 2px; width: 2px; height: 24px; margin-left: -1px; background: var(--ink); }
.mark.planned { background: repeating-linear-gradient(var(--ink) 0 3px, transparent 3px 6px); }
.mark.rollback, .mark.refused { top: 0; border: 5px solid transparent; border-top: 8px solid var(--wrong); margin-left: -5px; }
.mark.resumed { top: 0; border: 4px solid transparent; border-top: 6px solid var(--soft); margin-left: -4px; }
.line-names { position: relative; display: flex; justify-content: space-between; font-size: 13px; color: var(--soft); margin-top: 12px; font-variant-numeric: tabular-nums; }
#switch-name { position: absolute; color: var(--joint); font-weight: 600; white-space: nowrap; }
.line-legend { font-size: 12.5px; color: var(--soft); display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: center; }
.line-legend .mark { position: static; display: inline-block; margin: 0 0 0 8px; }
.line-legend .mark:first-child { margin-left: 0; }
.line-legend .mark.switch { height: 12px; }
.line-legend .mark.rollback { margin-top: 5px; }
.headline .from { font-size: 13px; line-height: 1.4; font-weight: 400; letter-spacing: 0; }

.toolbar { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin-bottom: 12px; position: sticky; top: 0; z-index: 2; background: var(--page); padding: 6px 0; }
.toolbar button { min-width: 40px; padding: 6px 10px; }
.toolbar #range { font-size: 14px; font-variant-numeric: tabular-nums; margin-left: 6px; }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(330px, 100%), 1fr)); }
.charts figure { min-width: 0; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12.5px; color: var(--soft); margin: 4px 0; min-height: 20px; }
.legend .value { color: var(--ink); font-variant-numeric: tabular-nums; }
.key { display: inline-block; width: 9px; height: 9px; border-radius: 2px; background: var(--k); }
.ink { --k: var(--ink); } .decoder { --k: var(--decoder); } .joint { --k: var(--joint); } .third { --k: var(--third); }
.fourth { --k: var(--fourth); } .fifth { --k: var(--fifth); }
.part-compute { --k: var(--part-compute); } .part-data { --k: var(--part-data); } .part-exchange { --k: var(--part-exchange); }
.part-update { --k: var(--part-update); } .part-wait { --k: var(--part-wait); }
.plot { min-height: 190px; touch-action: pan-y; cursor: crosshair; }
.u-select { background: color-mix(in srgb, var(--decoder) 18%, transparent); }
.u-hz .u-cursor-x { border-right-color: var(--soft); }

td.doing { text-align: left; } td.doing.bad { color: var(--wrong); }
thead th:nth-child(2), td:nth-child(2) { text-align: left; }
.shares { display: inline-flex; width: 90px; height: 9px; border-radius: 3px; overflow: hidden; background: var(--grid); vertical-align: 0; }
.share.compute { background: var(--part-compute); } .share.data { background: var(--part-data); } .share.parameters { background: var(--part-exchange); }
td.actions { font-size: 13px; } td.actions button { min-height: 28px; padding: 2px 10px; font-size: 13px; }
.verified { color: var(--soft); }

.slider { padding: 12px 16px; margin-bottom: 14px; display: grid; grid-template-columns: auto 1fr; gap: 4px 14px; align-items: center; }
.slider label { font-size: 14px; font-weight: 600; } .slider input { width: 100%; min-height: 32px; accent-color: var(--decoder); }
.slider p { grid-column: 1 / -1; font-size: 14px; }
.picture .captions { padding: 10px 16px 12px; }
.picture .said { font-size: 13.5px; color: var(--soft); line-height: 1.75; }
.picture .said.best { font-size: 15.5px; color: var(--ink); }
.said .sure { font-size: 12px; color: var(--soft); white-space: nowrap; }
.word { border-radius: 4px; padding: 1px 3px; color: var(--ink); }
.p0 { background: var(--sure-0); } .p1 { background: var(--sure-1); } .p2 { background: var(--sure-2); } .p3 { background: var(--sure-3); } .p4 { background: var(--sure-4); }

.moments { list-style: none; margin: 0; padding: 6px 18px; font-size: 14.5px; max-height: 300px; overflow: auto; }
.moments li { padding: 7px 0; border-top: 1px solid var(--grid); overflow-wrap: anywhere; } .moments li:first-child { border-top: 0; }
.moments li.rollback, .moments li.refused { color: var(--wrong); }
.moments .soft { font-size: 13px; margin-right: 6px; }
#answer.bad, .wrong { color: var(--wrong); }
.login { max-width: 420px; } .login form { display: grid; gap: 10px; margin-top: 14px; }
.login input { font: inherit; padding: 8px 12px; border: 1px solid var(--soft); border-radius: 8px; background: var(--card); color: var(--ink); }
@media (max-width: 480px) { .picture img { height: 150px; } .toolbar { gap: 4px; } #switch-name { font-size: 12px; } }
@media (prefers-reduced-motion: no-preference) { #track .done-part { transition: right 0.4s; } }
`;
