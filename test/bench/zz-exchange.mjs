var __knownSymbol = (name, symbol) => (symbol = Symbol[name]) ? symbol : /* @__PURE__ */ Symbol.for("Symbol." + name);
var __typeError = (msg) => {
  throw TypeError(msg);
};
var __using = (stack, value, async) => {
  if (value != null) {
    if (typeof value !== "object" && typeof value !== "function") __typeError("Object expected");
    var dispose, inner;
    if (async) dispose = value[__knownSymbol("asyncDispose")];
    if (dispose === void 0) {
      dispose = value[__knownSymbol("dispose")];
      if (async) inner = dispose;
    }
    if (typeof dispose !== "function") __typeError("Object not disposable");
    if (inner) dispose = function() {
      try {
        inner.call(this);
      } catch (e) {
        return Promise.reject(e);
      }
    };
    stack.push([async, dispose, value]);
  } else if (async) {
    stack.push([async]);
  }
  return value;
};
var __callDispose = (stack, error, hasError) => {
  var E = typeof SuppressedError === "function" ? SuppressedError : function(e, s, m, _) {
    return _ = Error(m), _.name = "SuppressedError", _.error = e, _.suppressed = s, _;
  };
  var fail = (e) => error = hasError ? new E(e, error, "An error was suppressed during disposal") : (hasError = true, e);
  var next = (it) => {
    while (it = stack.pop()) {
      try {
        var result = it[1] && it[1].call(it[2]);
        if (it[0]) return Promise.resolve(result).then(next, (e) => (fail(e), next()));
      } catch (e) {
        fail(e);
      }
    }
    if (hasError) throw error;
  };
  return next();
};

// test/bench/exchange.ts
import { execFile as execFile2, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify as promisify2 } from "node:util";
import { modelParameters } from "@showtell/coordinator/model-parameters.js";
import { ParameterServer } from "@showtell/coordinator/parameter-server/parameter-server.js";
import { parameterHandlers } from "@showtell/coordinator/parameter-server/service.js";
import { ParameterServiceService } from "@showtell/shared/generated/showtell/v1/parameters.js";
import { jobSchema } from "@showtell/shared/job/job.js";
import { listen, newGrpcServer } from "@showtell/shared/rpc/channel.js";
import { allocateSegments } from "@showtell/shared/tensors/layout.js";

// test/bench/peers/torch.ts
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "@showtell/shared/set-up/cache-folder.js";
var run = promisify(execFile);
var version = "2.15.0";
async function torchPython() {
  const own = process.env["TORCH_PY"];
  if (own !== void 0 && own !== "") return own;
  const venv = path.join(cacheFolder(), "bench", `torch-${version}`);
  const python = path.join(venv, "bin", "python");
  if (existsSync(python)) return python;
  const beside = `${venv}.making`;
  try {
    console.error(`installing PyTorch ${version} into ${venv} \u2026`);
    await rm(beside, { recursive: true, force: true });
    await mkdir(path.dirname(venv), { recursive: true });
    await run("python3", ["-m", "venv", beside]);
    await run(path.join(beside, "bin", "python"), ["-m", "pip", "install", "-q", `torch==${version}`, "numpy==2.4.6"]);
    await rename(beside, venv);
    return python;
  } catch (error) {
    console.error(`no PyTorch to compare with: ${error instanceof Error ? error.message : String(error)}`);
    await rm(beside, { recursive: true, force: true });
    return null;
  }
}

// test/bench/exchange.ts
var repetitions = 12;
var distinctWords = 120;
var exchanges = [
  { name: "exchange, shared memory, float32", wire: "float32", sharedMemory: true, target: 2.5 },
  { name: "exchange, shared memory, bfloat16", wire: "bfloat16", sharedMemory: true, target: null },
  { name: "exchange, gRPC alone, float32", wire: "float32", sharedMemory: false, target: null },
  { name: "exchange, gRPC alone, bfloat16", wire: "bfloat16", sharedMemory: false, target: null }
];
async function benchExchange() {
  const peer = await allReduce();
  const figures = [];
  for (const exchange of exchanges) {
    const ours = await measure(exchange);
    const { name, target } = exchange;
    const command = "npm run bench -- --only exchange";
    figures.push({ name, ours, peer, ratio: peer === null ? null : ours / peer, target, unit: "ms", command });
  }
  return figures;
}
async function measure({ wire, sharedMemory }) {
  var _stack = [];
  try {
    const job = jobSchema.parse({ batch: { examples: 8, units: 2 }, wire: { dtype: wire } });
    const { specs, layout } = modelParameters(job);
    const server = __using(_stack, await ParameterServer.open({
      layout,
      specs,
      job,
      state: { step: 0, lineage: 0, phase: "joint", parameters: allocateSegments(layout), optimizer: null },
      run: "bench",
      generation: 1,
      threads: job.cluster.parameterThreads,
      sharedMemory: sharedMemory ? "/dev/shm" : null
    }), true);
    const grpc = newGrpcServer();
    const refuse = () => void 0;
    grpc.addService(ParameterServiceService, {
      ...parameterHandlers(server),
      session: (call) => {
        const announce = (value = server.version) => void call.write({ message: { $case: "version", value } });
        const stop = server.onVersion(announce);
        call.on("data", () => announce()).on("error", refuse);
        call.on("end", () => {
          stop();
          call.end();
        });
      },
      pushEvaluation: refuse,
      checkCanary: refuse
    });
    const port = await listen(grpc, "127.0.0.1:0");
    const workers = await Promise.all(
      [0, 1].map(async (index) => {
        const worker = fork(fileURLToPath(new URL("./exchange-worker.mjs", import.meta.url)), [
          JSON.stringify({
            address: `127.0.0.1:${port}`,
            specs: specs.map(({ name, shape, group }) => ({ name, shape, group })),
            index,
            wire,
            sharedMemory: server.sharedMemory,
            rows: distinctWords,
            width: job.model.decoder.embedding
          })
        ]);
        await once(worker, "message");
        return worker;
      })
    );
    try {
      const times = [];
      for (let step = 0; step < repetitions + 3; step++) {
        const [, ...marks] = await Promise.all([
          server.step({ step, phase: "joint", learningRate: 5e-4 }).then((r) => {
            if (process.env["SHOWTELL_BENCH_VERBOSE"] === "1") console.error(JSON.stringify({ ...r.seconds }));
          }),
          ...workers.map(exchangeOnce)
        ]);
        const last = Math.max(...marks.map(({ computed }) => computed));
        times.push(Math.max(...marks.map(({ held }) => held)) - last);
      }
      return median(times.slice(3));
    } finally {
      for (const worker of workers) worker.kill();
      grpc.forceShutdown();
    }
  } catch (_) {
    var _error = _, _hasError = true;
  } finally {
    var _promise = __callDispose(_stack, _error, _hasError);
    _promise && await _promise;
  }
}
async function exchangeOnce(worker) {
  const answer = once(worker, "message");
  worker.send("go");
  const [marks] = await answer;
  return marks;
}
async function allReduce() {
  const python = await torchPython();
  if (python === null) return null;
  const script = fileURLToPath(new URL("./peers/allreduce.py", import.meta.url));
  const { stdout } = await promisify2(execFile2)(python, [script, "--reps", String(repetitions)]);
  return JSON.parse(stdout).median;
}
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] ?? 0 : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
export {
  benchExchange
};
