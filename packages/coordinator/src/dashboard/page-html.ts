const head = (title: string, more: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/style.css">
${more}
</head>`;

const columns = (...names: readonly string[]): string =>
  `<thead><tr>${names.map((name) => `<th scope="col">${name}</th>`).join('')}</tr></thead>`;

/** The page: what its scripts fill stands here empty, so that nothing jumps. */
export const mainPage = `${head(
  'showtell',
  `<link rel="stylesheet" href="/page/uplot.css">
<script src="/page/uplot.js" defer></script>
<script src="/page/main.js" type="module"></script>`,
)}
<body data-view="">
<a class="skip" href="#main">to the run</a>
<main id="main" tabindex="-1">
<header>
<p class="kicker"><a id="back" href="/" hidden>all runs</a> showtell run</p>
<h1><span id="name">…</span><span id="state" class="outcome"></span></h1>
<p id="reason" class="soft"></p>
<p id="connection" class="soft" role="status"></p>
<div id="controls" hidden>
<button type="button" id="pause">Pause</button>
<button type="button" id="switch">Begin joint phase</button>
<button type="button" id="stop" class="bad">Stop</button>
<span id="answer" role="status"></span>
</div>
</header>
<section class="of-run" aria-label="phases">
<div id="phase-line" role="img" aria-label="phases">
<div id="track"><div class="joint-part"></div><div class="done-part"></div></div>
<div id="marks"></div>
<p class="line-names"><span id="line-from"></span><span id="switch-name"></span><span id="line-to"></span></p>
</div>
<p class="line-legend" aria-hidden="true"><i class="mark evaluation"></i> evaluated <i class="mark checkpoint"></i> checkpoint <i class="mark switch"></i> switch <i class="mark rollback"></i> rollback</p>
</section>
<dl id="headline" class="headline of-run"></dl>
<section class="of-runs" aria-labelledby="runs-title">
<h2 id="runs-title">Runs</h2>
<div class="card scroll" role="region" aria-label="runs" tabindex="0"><table>
${columns('run', 'job', 'state', 'steps', 'joint from', 'perplexity', 'BLEU-4', 'CIDEr', 'colours')}<tbody id="run-rows"></tbody></table></div>
</section>
<section id="workers" class="of-run" aria-labelledby="workers-title" hidden>
<h2 id="workers-title">Workers</h2>
<div class="card scroll" role="region" aria-label="workers" tabindex="0"><table>
${columns('worker', 'now', 'units', 'engine at work', 'memory', 'host', 'pid')}<tbody id="worker-rows"></tbody></table></div>
</section>
<section aria-labelledby="plots-title">
<h2 id="plots-title">How it learns</h2>
<p class="note of-run">Blue ground: only the decoder trains, on a frozen encoder. Pink ground: both train. Drag over a plot, or draw a finger across it, to zoom in.</p>
<div class="toolbar" role="toolbar" aria-label="range of steps">
<button type="button" id="earlier" aria-label="earlier steps">◀</button>
<button type="button" id="zoom-in" aria-label="zoom in">+</button>
<button type="button" id="zoom-out" aria-label="zoom out">−</button>
<button type="button" id="later" aria-label="later steps">▶</button>
<button type="button" id="zoom-all">all</button>
<span id="range" class="soft" role="status"></span>
</div>
<div id="plots" class="charts"></div>
</section>
<section id="pictures-section" class="of-run" aria-labelledby="pictures-title" hidden>
<h2 id="pictures-title">What it says of pictures it was never shown</h2>
<p class="note">Held-out pictures, captioned by beam search. The ground of a word says how likely it was after those before it:
<span class="word p0">hardly</span> <span class="word p1">unlikely</span> <span class="word p2">perhaps</span> <span class="word p3">likely</span> <span class="word p4">nearly certain</span></p>
<div class="card slider"><label for="evaluation">Evaluation</label><input id="evaluation" type="range" min="0" max="0" value="0">
<p><b id="evaluation-when"></b> <span id="evaluation-scores" class="soft"></span></p></div>
<div id="pictures" class="pictures"></div>
</section>
<section id="checkpoints-section" class="of-run" aria-labelledby="checkpoints-title" hidden>
<h2 id="checkpoints-title">Checkpoints</h2>
<div class="card scroll" role="region" aria-label="checkpoints" tabindex="0"><table>
${columns('step', 'phase', 'perplexity', 'BLEU-4', 'CIDEr', 'size', 'saved', 'download and verify')}<tbody id="checkpoint-rows"></tbody></table></div>
</section>
<section class="of-run" aria-labelledby="moments-title">
<h2 id="moments-title">What happened</h2>
<ol id="moments" class="card moments"></ol>
</section>
<section class="of-run" aria-labelledby="facts-title">
<h2 id="facts-title">The run</h2>
<dl id="facts" class="card facts"></dl>
</section>
</main>
<dialog id="question" aria-labelledby="question-text"><form method="dialog">
<p id="question-text"></p>
<button value="no" autofocus>No</button> <button value="yes" class="bad">Yes</button>
</form></dialog>
</body>
</html>
`;

/** Asks for the token where the page has one. */
export const loginPage = (wasWrong: boolean): string => `${head('showtell', '')}
<body>
<main class="login">
<p class="kicker">showtell run</p>
<h1>Token</h1>
<p class="note">This page asks for the token that its coordinator was started with (SHOWTELL_TOKEN).</p>
${wasWrong ? '<p class="wrong" role="alert">That was not the token.</p>' : ''}
<form method="post" action="/login">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button>
</form>
</main>
</body>
</html>
`;

export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#2f6fb2"/><path d="M3 4c1 6 4 8 10 8" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round"/></svg>`;
