import { benchExchange } from './zz-exchange.mjs';
for (const f of await benchExchange()) console.log(f.name, f.ours.toFixed(1), f.peer?.toFixed(1), f.ratio?.toFixed(2));
