/**
 * Every failure showtell reports on purpose, in one table: a code scripts can match, the exit code of a command that
 * ends by it, the text composed from facts, and what the reader can do. `docs/errors.md` is printed from this table.
 *
 * Exit codes follow sysexits(3) where it has a fitting one: 64 usage, 65 data, 66 input missing, 69 service
 * unavailable, 70 internal, 73 cannot create, 74 input/output, 75 try again, 77 no permission, 78 configuration. showtell's own: 10 guard
 * unmet, 11 stopped by a person and resumable.
 */
interface ErrorEntry<F> {
  readonly exit: number;
  /** What happened and where, from facts alone. */
  readonly text: (facts: F) => string;
  /** What to do about it. */
  readonly remedy: (facts: F) => string;
}

function entry<F>(exit: number, text: (facts: F) => string, remedy: (facts: F) => string): ErrorEntry<F> {
  return { exit, text, remedy };
}

/** An id as JSON has it: 7 and "7" are two. */
function idOf(id: number | string): string {
  return JSON.stringify(id);
}

/** How many pictures share a fault that is told of one. */
function ofImages(count: number): string {
  return count === 1 ? '' : ` (one of ${count} such images)`;
}

/** Never done by itself: batch norm would see other batches. */
const smallerUnits =
  'Give workers more memory, use fewer on a machine (--workers), or make each unit smaller: more batch.units in the job file. That is another job, whose batch norm sees other batches, so it is a new run; "showtell train --from" begins it with the values of this one.';

export const errorTable = {
  // general
  'usage/invalid': entry<{ detail: string; command: string }>(
    64,
    (f) => f.detail,
    (f) => `Run "showtell ${f.command} --help" for the options.`,
  ),
  'file/missing': entry<{ file: string; what: string }>(
    66,
    (f) => `${f.what} ${f.file} does not exist.`,
    () => 'Check the path.',
  ),
  'file/exists': entry<{ file: string }>(
    73,
    (f) => `${f.file} exists already.`,
    () => 'Give another name, or remove it first.',
  ),
  'file/unwritable': entry<{ file: string; detail: string }>(
    73,
    (f) => `${f.file} cannot be written: ${f.detail}.`,
    () => 'Check the folder, its permissions and that the disk has room.',
  ),
  // Kubernetes
  'kubernetes/no-cluster': entry<{ detail: string }>(
    78,
    (f) => `No Kubernetes cluster is configured here: ${f.detail}.`,
    () => 'Set KUBECONFIG or write ~/.kube/config; "kubectl config get-contexts" lists what there is.',
  ),
  'kubernetes/unreachable': entry<{ server: string; detail: string }>(
    69,
    (f) => `The Kubernetes API server ${f.server} does not answer: ${f.detail}.`,
    () => 'Check the network and the context ("kubectl config current-context").',
  ),
  'kubernetes/no-definition': entry<Record<string, never>>(
    69,
    () => 'The cluster does not know TrainingJobs.',
    () =>
      'Whoever runs the cluster installs them: kubectl apply --server-side -k deploy/k8s/operator. Without them: "showtell job render JOB | kubectl apply --server-side -f -".',
  ),
  'kubernetes/unauthorized': entry<{ detail: string }>(
    77,
    (f) => `The Kubernetes API server does not know who asks: ${f.detail}.`,
    () => 'Log in to the cluster again; the credentials of the kubeconfig are wrong or have expired.',
  ),
  'kubernetes/forbidden': entry<{ detail: string }>(
    77,
    (f) => `The Kubernetes API server does not allow it: ${f.detail}.`,
    () => 'Ask for that right in that namespace ("kubectl auth can-i --list" shows what you have).',
  ),
  'kubernetes/not-found': entry<{ what: string }>(
    66,
    (f) => `There is no ${f.what}.`,
    () => 'Check name, --namespace and --context; "kubectl get trainingjobs -A" lists them all.',
  ),
  'kubernetes/being-deleted': entry<{ what: string }>(
    69,
    (f) => `${f.what} is being deleted.`,
    () => 'Wait until it is gone ("kubectl wait --for=delete"), then submit it again; it goes on with its run.',
  ),
  'kubernetes/failed': entry<{ what: string; status: number; detail: string }>(
    69,
    (f) => `The Kubernetes API server refused ${f.what} (${f.status}): ${f.detail}.`,
    () => 'Try again; if it stays so, the API server has its reason in what it says.',
  ),
  // data
  'data/record-corrupt': entry<{ file: string; shard: number; offset: number; detail: string }>(
    65,
    (f) => `The record at byte ${f.offset} of shard ${f.shard} (${f.file}) is corrupt: ${f.detail}.`,
    (f) => `Fetch ${f.file} again; "showtell data verify" lists every corrupt record of a data folder.`,
  ),
  'data/record-malformed': entry<{ where: string; detail: string }>(
    65,
    (f) => `${f.where} holds no image–caption pair as im2txt writes it: ${f.detail}.`,
    () => 'Build the shards again, or let "showtell data index" exclude such records by name.',
  ),
  'data/shard-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `${f.file} cannot be read as a TFRecord file: ${f.detail}.`,
    (f) =>
      `Fetch or build ${f.file} again; if the file was changed on purpose, run "showtell data index" on its folder.`,
  ),
  'data/index-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `The index ${f.file} cannot be used: ${f.detail}.`,
    () => 'Make the indexes again with "showtell data index" on the folder.',
  ),
  'data/folder-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `${f.file} does not describe a data folder: ${f.detail}.`,
    () => 'Build the folder again, or run "showtell data index" on TFRecords that came from im2txt.',
  ),
  'data/folder-not-indexed': entry<{ directory: string }>(
    66,
    (f) => `${f.directory} has no dataset.json, so it is no data folder yet.`,
    (f) => `Run "showtell data index ${f.directory}" on im2txt's TFRecords, or make a set with "showtell data synth".`,
  ),
  'data/folder-occupied': entry<{ directory: string; detail: string }>(
    73,
    (f) => `${f.directory} holds another build: ${f.detail}.`,
    () => 'Give another --out folder, or remove this one first.',
  ),
  'data/vocabulary-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `The vocabulary ${f.file} cannot be used: ${f.detail}.`,
    () => 'It must be the word_counts.txt that im2txt wrote with these records: "word count" lines with <S> and </S>.',
  ),
  'data/annotations-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `The annotations ${f.file} cannot be used: ${f.detail}.`,
    () =>
      'Give a COCO caption file: {"images": [{"id", "file_name"}], "annotations": [{"id", "image_id", "caption"}]}.',
  ),
  'data/image-absent': entry<{ file: string; imageId: number; annotations: string }>(
    66,
    (f) => `Image ${f.imageId} of ${f.annotations} has no file ${f.file}.`,
    () => 'Check --images, fetch the file, or leave such images out with --skip-bad.',
  ),
  'data/image-undecodable': entry<{ file: string; imageId: number; detail: string }>(
    65,
    (f) => `Image ${f.imageId} (${f.file}) is no RGB JPEG that decodes: ${f.detail}.`,
    () =>
      'Fetch the file again, re-encode PNG, CMYK and other pictures with --convert, or leave it out with --skip-bad.',
  ),
  'data/image-uncaptioned': entry<{ file: string; imageId: number; annotations: string }>(
    65,
    (f) => `Image ${f.imageId} (${f.file}) of ${f.annotations} has no caption.`,
    () => 'Add one, or leave such images out with --skip-bad.',
  ),
  'data/caption-length': entry<{ annotationId: number; imageId: number; words: number; limit: number; file: string }>(
    65,
    (f) => `Annotation ${f.annotationId} (image ${f.imageId}, ${f.file}) has ${f.words} words, not 1 to ${f.limit}.`,
    () => 'Mend the caption, raise --max-words, or leave such captions out with --skip-bad.',
  ),
  'data/split-impossible': entry<{ detail: string }>(
    64,
    (f) => `The set cannot be split so: ${f.detail}.`,
    () => 'Give other shares (--split 0.8,0.1,0.1), or --split reuse to train and validate on the same pictures.',
  ),
  // bus
  'bus/unreachable': entry<{ servers: string }>(
    69,
    (f) => `No NATS server answers at ${f.servers}.`,
    () => 'Start it, or check the address; "showtell doctor" says whether one is installed.',
  ),
  'bus/refused': entry<{ servers: string; detail: string }>(
    77,
    (f) => `The NATS server at ${f.servers} and this process do not accept each other: ${f.detail}.`,
    () =>
      'Both take their files from one "showtell certs": give --tls or SHOWTELL_TLS to all or to none, and renew what is out of date with --renew.',
  ),
  'bus/no-jetstream': entry<{ server: string }>(
    69,
    (f) => `The NATS server ${f.server} has no JetStream, or has not yet started it.`,
    () => 'Start nats-server with -js and a folder to keep things in (-sd DIR).',
  ),
  'bus/damaged-message': entry<{ stream: string; message: number }>(
    69,
    (f) =>
      `Message ${f.message} of the stream ${f.stream} is no unit as a coordinator sends it: its checksum is another.`,
    () => 'It is offered again by itself. Where this comes often, look at the network and at who else publishes there.',
  ),
  // data in NATS' object store
  'data/bucket-missing': entry<{ server: string; bucket: string }>(
    69,
    (f) => `There is no bucket ${f.bucket} at ${f.server}.`,
    (f) => `Put a data folder there: "showtell data push DATA --nats ${f.server} --bucket ${f.bucket}".`,
  ),
  'data/bucket-not-permitted': entry<{ server: string; bucket: string; detail: string }>(
    77,
    (f) => `These certificates do not allow the bucket ${f.bucket} at ${f.server}: ${f.detail}.`,
    (f) =>
      `Name it as they are renewed: "showtell certs DIR --renew --bucket ${f.bucket}", with each other bucket too; then have nats-server read its configuration anew (nats-server --signal reload). "data push" takes the files of the role client.`,
  ),
  'data/bucket-incomplete': entry<{ server: string; bucket: string }>(
    69,
    (f) =>
      `The bucket ${f.bucket} at ${f.server} holds no whole data set: a "data push" is under way, or was broken off.`,
    (f) => `Go on with it: "showtell data push DATA --nats ${f.server} --bucket ${f.bucket}" sends what is missing.`,
  ),
  'data/bucket-occupied': entry<{ server: string; bucket: string; there: string; directory: string; given: string }>(
    73,
    (f) =>
      `The bucket ${f.bucket} at ${f.server} holds another data set (digest ${f.there.slice(0, 12)}) than ${f.directory} (${f.given.slice(0, 12)}).`,
    () => 'Give another --bucket: runs may be reading this one.',
  ),
  'data/bucket-refused': entry<{ server: string; bucket: string; detail: string }>(
    73,
    (f) => `${f.server} takes no more into the bucket ${f.bucket}: ${f.detail}.`,
    () =>
      'Give its volume or JetStream’s limits (max_file_store) room for the whole data set, then run the command again: it goes on where it was.',
  ),
  'data/object-corrupt': entry<{ server: string; bucket: string; object: string; detail: string }>(
    65,
    (f) => `The object ${f.object} of the bucket ${f.bucket} at ${f.server} is damaged: ${f.detail}.`,
    (f) => `"showtell data push DATA --nats ${f.server} --bucket ${f.bucket}" puts what is damaged there anew.`,
  ),
  'data/cache-too-small': entry<{ bucket: string; needed: number; limit: number }>(
    78,
    (f) => `The shards of ${f.bucket} have ${f.needed} bytes, and their cache may have ${f.limit} (data.cacheBytes).`,
    () =>
      'Give it room for all of them: records come in random order, and each would fetch its whole shard anew otherwise.',
  ),
  // set-up: engine and nats-server
  'setup/no-python': entry<{ install: string }>(
    69,
    () => 'No Python 3 with its standard library is on PATH; its pip fetches what the set-up needs.',
    (f) => `Install it: ${f.install}`,
  ),
  'setup/no-pip': entry<{ python: string; install: string }>(
    69,
    (f) => `${f.python} has no pip, which fetches what the set-up needs.`,
    (f) => `Install it: ${f.install}`,
  ),
  'setup/no-compiler': entry<{ install: string }>(
    69,
    () => "No C++ compiler (g++ or clang++) is on PATH; TensorFlow's Node addon is compiled on this machine.",
    (f) => `Install one: ${f.install}`,
  ),
  'setup/cache-unwritable': entry<{ file: string; detail: string }>(
    73,
    (f) => `${f.file} cannot be written: ${f.detail}.`,
    () => 'Set SHOWTELL_CACHE to a folder that can, on a disk with 2 GB free.',
  ),
  'setup/download-failed': entry<{ file: string; detail: string }>(
    69,
    (f) => `${f.file} could not be fetched: ${f.detail}.`,
    () => 'Check the network and pip’s settings ("python3 -m pip config list"), then run the same command again.',
  ),
  'setup/bad-download': entry<{ file: string; expected: string; got: string }>(
    69,
    (f) => `${f.file} as fetched has SHA-256 ${f.got}, not ${f.expected}; it was thrown away.`,
    () => 'Run the same command again; if it stays so, the package index that pip uses serves another file.',
  ),
  'setup/unpack-failed': entry<{ file: string; into: string; detail: string }>(
    73,
    (f) => `${f.file} could not be unpacked into ${f.into}: ${f.detail}.`,
    (f) => `Check that the disk of ${f.into} has 2 GB left, then run the same command again.`,
  ),
  'engine/unsupported-platform': entry<{ platform: string; engine: string }>(
    69,
    (f) => `TensorFlow's wheel for engine ${f.engine} is not published for ${f.platform}.`,
    () => 'Use Linux with glibc 2.27 or newer on x64 (cpu, cuda) or arm64 (cpu), natively, in a container or in WSL.',
  ),
  'engine/not-set-up': entry<{ folder: string; command: string }>(
    78,
    (f) => `The engine is not set up: ${f.folder} is not there.`,
    (f) => `Run "${f.command}", or ask for another engine: --engine wasm needs nothing.`,
  ),
  'engine/compile-failed': entry<{ compiler: string; log: string; detail: string }>(
    70,
    (f) => `${f.compiler} did not compile TensorFlow's Node addon: ${f.detail}.`,
    (f) => `The whole output is in ${f.log}. A compiler that knows C++17 is needed (g++ 9 or newer).`,
  ),
  'engine/smoke-test-failed': entry<{ addon: string; detail: string }>(
    70,
    (f) => `The engine's addon ${f.addon} was built but does not work: ${f.detail}.`,
    () => 'Run "showtell doctor"; remove the folder named and run "showtell engine setup" to build it anew.',
  ),
  'engine/failed': entry<{ call: string; detail: string }>(
    70,
    (f) => `TensorFlow failed in ${f.call}: ${f.detail}`,
    () => 'If it happens again with the same records, report it with this text.',
  ),
  'engine/out-of-memory': entry<{ call: string; detail: string }>(
    71,
    (f) => `Memory ran out in ${f.call}: ${f.detail}`,
    () => smallerUnits,
  ),
  'evaluation/thread-ended': entry<{ detail: string }>(
    70,
    (f) => `The thread that scores captions ended: ${f.detail}`,
    () => 'The log above says why; start the run again, it goes on where it was.',
  ),
  'engine/thread-died': entry<{ detail: string }>(
    70,
    (f) => `The engine's thread ended: ${f.detail}`,
    () => 'The log above says why; the unit it held is offered again.',
  ),
  'engine/no-gpu': entry<{ detail: string }>(
    69,
    (f) => `The cuda engine has no GPU it can use: ${f.detail}.`,
    () =>
      'Check "nvidia-smi" and the driver (525 or newer), or ask for the cpu engine: nothing falls back to it by itself.',
  ),
  'engine/no-adapter': entry<{ detail: string }>(
    69,
    (f) => `The webgpu engine has no GPU it can use: ${f.detail}.`,
    () =>
      'Install the Vulkan driver of the GPU and look at it with "vulkaninfo", or choose --engine tensorflow or wasm.',
  ),
  'engine/no-bfloat16': entry<{ instructions: string }>(
    78,
    (f) => `This processor (${f.instructions}) has no bfloat16 arithmetic that TensorFlow can use: it needs AVX-512.`,
    () => 'Set engine.precision: float32 in the job file, or use a processor that has it ("showtell doctor" tells).',
  ),
  'engine/environment-too-late': entry<{ variables: string }>(
    70,
    (f) => `TensorFlow reads ${f.variables} from the process, and this thread has only a copy of its environment.`,
    () => 'Start the thread with `env: SHARE_ENV`, or call `setEngineEnvironment` on the main thread before.',
  ),
  'nats/unavailable': entry<{ tried: string; install: string }>(
    69,
    (f) => `No nats-server 2.9 or newer could be found or fetched. Tried: ${f.tried}.`,
    (f) =>
      `Install one (${f.install}), or run the same command again with Go or with Python and pip on PATH: either brings one.`,
  ),
  // job
  'job/not-yaml': entry<{ file: string; detail: string }>(
    78,
    (f) => `The job file ${f.file} is not YAML: ${f.detail}`,
    () => 'Mend the syntax at that line.',
  ),
  'job/invalid': entry<{ source: string; problems: readonly string[] }>(
    78,
    (f) => `${f.source} does not describe a job:\n${f.problems.map((problem) => `  ${problem}`).join('\n')}`,
    () => 'docs/job.md lists every field with its meaning, unit and default.',
  ),
  'job/bad-override': entry<{ override: string }>(
    64,
    (f) => `--set ${f.override} is not of the form field.path=value.`,
    () => 'Write for example --set phases.joint.steps=100.',
  ),
  // a run and its folder
  'journal/damaged': entry<{ file: string; line: number }>(
    65,
    (f) => `Line ${f.line} of the journal ${f.file} does not match its checksum.`,
    () =>
      'Restore the file from a copy; without it the run cannot know what it decided. "showtell train --from" can begin a new run from a checkpoint.',
  ),
  'journal/write-failed': entry<{ file: string }>(
    74,
    (f) => `The journal ${f.file} could not be written.`,
    () => 'Make room on that disk or mend its permissions, then resume; nothing that was not journalled has happened.',
  ),
  'run/already-running': entry<{ run: string; pid: number }>(
    75,
    (f) => `The run in ${f.run} is being trained already, by process ${f.pid}.`,
    (f) => `Watch it with "showtell status ${f.run}", or stop it with "showtell stop ${f.run}" first.`,
  ),
  'run/superseded': entry<{ run: string; own: number; newest: number }>(
    75,
    (f) => `Another coordinator took over the run in ${f.run}: generation ${f.newest} follows this one's ${f.own}.`,
    () => 'Leave the work to the newer one; this one has stopped without writing anything more.',
  ),
  'run/other-job': entry<{ run: string; differences: readonly string[] }>(
    78,
    (f) => `The run in ${f.run} is of another job:\n${f.differences.map((difference) => `  ${difference}`).join('\n')}`,
    () => 'Take another --run folder, undo those changes, or fork: showtell train JOB --run NEW --from OLD.',
  ),
  'run/other-data': entry<{ run: string; directory: string }>(
    78,
    (f) => `The data in ${f.directory} are not those that the run in ${f.run} began with.`,
    () => 'Give the same data folder by --data, or begin a new run.',
  ),
  'run/exists': entry<{ run: string }>(
    73,
    (f) => `There is a run in ${f.run} already.`,
    () => 'Add --resume to go on with it, or name another folder by --run.',
  ),
  'run/missing': entry<{ run: string }>(
    66,
    (f) => `There is no run in ${f.run}.`,
    () => 'Name a folder that "showtell train --run" made.',
  ),
  'run/cannot-switch': entry<{ detail: string }>(
    64,
    (f) => `The joint phase cannot be asked for: ${f.detail}.`,
    () => 'Nothing was changed; "showtell status RUN" tells where the run stands.',
  ),
  'run/not-running': entry<{ run: string }>(
    69,
    (f) => `No coordinator is at work on the run in ${f.run}.`,
    (f) => `Go on with it by "showtell train --run ${f.run} --resume".`,
  ),
  'run/steps-shrunk': entry<{ field: string; was: number; now: number }>(
    78,
    (f) => `${f.field} is ${f.now} but the run began with ${f.was}; it may only grow on resume.`,
    () => 'Keep the old number or a greater one, or fork the run with --from.',
  ),
  'run/phase-over': entry<{ field: string; was: number; now: number; how: string }>(
    78,
    (f) =>
      `${f.field} has grown from ${f.was} to ${f.now}, but that phase ${f.how}: the steps added could not be taken.`,
    (f) =>
      `Keep ${f.field}=${f.was}; raise phases.joint.steps where the joint phase goes on, or fork a checkpoint from before with --from.`,
  ),
  // parameters and checkpoints
  'tensors/malformed': entry<{ file: string; detail: string }>(
    65,
    (f) => `${f.file} is no sound safetensors file: ${f.detail}.`,
    () => 'Fetch or write the file again.',
  ),
  'tensorflow/malformed': entry<{ file: string; detail: string }>(
    65,
    (f) => `${f.file} is no sound part of a TensorFlow checkpoint: ${f.detail}.`,
    () =>
      'Fetch or copy it again, with all files of the checkpoint: PREFIX.index and every PREFIX.data-…, or the V1 file.',
  ),
  'checkpoint/foreign': entry<{ path: string; detail: string }>(
    65,
    (f) => `${f.path} holds no weights that can be read: ${f.detail}.`,
    () =>
      'Give a TensorFlow V2 checkpoint (its prefix, .index or .data file, or the folder of its "checkpoint" file), a V1 file, or safetensors.',
  ),
  'checkpoint/does-not-fit': entry<{ path: string; model: string; problems: readonly string[] }>(
    65,
    (f) => `${f.path} does not fit ${f.model}:\n${f.problems.map((problem) => `  ${problem}`).join('\n')}`,
    () =>
      'Check --encoder, and give --depth-multiplier where the net was scaled; docs/checkpoints.md tells what is read.',
  ),
  'checkpoint/unknown-variables': entry<{ path: string; variables: readonly string[] }>(
    65,
    (f) =>
      `${f.path} has variables that showtell knows no place for:\n${f.variables.map((name) => `  ${name}`).join('\n')}`,
    () => 'They may be part of another model. If they may be left out, add --leave-out-unknown.',
  ),
  'checkpoint/vocabulary-too-large': entry<{ file: string; words: number; path: string; rows: number }>(
    65,
    (f) =>
      `The vocabulary ${f.file} has ${f.words} words with <UNK>, the tables of ${f.path} have ${f.rows} rows: it is not theirs.`,
    () => 'Give the word_counts.txt that the checkpoint was trained with.',
  ),
  'checkpoint/exists': entry<{ path: string }>(
    73,
    (f) => `${f.path} is there already.`,
    () => 'Give another --out, or remove it first.',
  ),
  'checkpoint/other-model': entry<{ path: string; other: string; detail: string }>(
    65,
    (f) => `${f.other} is not of the model of ${f.path}: ${f.detail}.`,
    () => 'Give checkpoints of one job, or of forks with the same model and vocabulary.',
  ),
  'parameters/version-gone': entry<{ step: number; lineage: number; generation: number }>(
    75,
    (f) => `Version ${f.step} (lineage ${f.lineage}, generation ${f.generation}) of the parameters is held no more.`,
    () => 'Wait for the version that the parameter server announced since.',
  ),
  'parameters/shard-lost': entry<{ shard: number; shards: number; address: string; detail: string }>(
    75,
    (f) => `Shard ${f.shard} of ${f.shards} of the parameter server, ${f.address}, is lost: ${f.detail}.`,
    () =>
      'Start it again ("showtell ps", or look at its log); the run goes on from its last checkpoint with "showtell train --run RUN --resume", on Kubernetes by itself.',
  ),
  'parameters/not-finite': entry<{ step: number; detail: string }>(
    70,
    (f) => `The update of step ${f.step} is not finite: ${f.detail}.`,
    () => 'Lower the learning rate, then go on from the last checkpoint with "showtell train --from CHECKPOINT".',
  ),
  'parameters/state-mismatch': entry<{ where: string; detail: string }>(
    65,
    (f) => `${f.where} does not fit the job's model: ${f.detail}.`,
    () => "Use the job file the values were written with, or a checkpoint of this job's model.",
  ),
  'parameters/out-of-order': entry<{ detail: string }>(
    70,
    (f) => `The parameter server was asked for something out of order: ${f.detail}.`,
    () => "This is a fault in showtell; please report it with the run folder's log.",
  ),
  'checkpoint/write-failed': entry<{ path: string; detail: string }>(
    74,
    (f) => `The checkpoint ${f.path} could not be written: ${f.detail}. The one before it is untouched.`,
    () => 'Free space or mend the disk (showtell checkpoint prune RUN --keep 1 removes old ones), then resume the run.',
  ),
  'checkpoint/damaged': entry<{ path: string; detail: string }>(
    65,
    (f) => `The checkpoint ${f.path} is damaged: ${f.detail}.`,
    () => 'Use another step; "showtell checkpoint list RUN" shows them, "showtell checkpoint verify RUN" checks them.',
  ),
  'checkpoint/none-sound': entry<{ directory: string; damaged: readonly string[] }>(
    65,
    (f) => `Every checkpoint in ${f.directory} is damaged:\n${f.damaged.map((damage) => `  ${damage}`).join('\n')}`,
    () => 'Put one back from a copy, then resume; or remove that folder, and the run takes all its steps again.',
  ),
  'checkpoint/other-vocabulary': entry<{ path: string; directory: string }>(
    65,
    (f) => `The checkpoint ${f.path} was trained on another vocabulary than that of the data in ${f.directory}.`,
    () => 'Train with data whose word_counts.txt is the one it was trained with: its rows are words.',
  ),
  'checkpoint/missing': entry<{ path: string; detail: string }>(
    66,
    (f) => `There is no checkpoint at ${f.path}: ${f.detail}.`,
    () => 'Check the run folder and the step; "showtell checkpoint list RUN" shows what is there.',
  ),
  'tfjs/malformed': entry<{ file: string; detail: string }>(
    65,
    (f) => `${f.file} is no layers model that can be read: ${f.detail}.`,
    () =>
      'Give the model.json of a Keras model as tensorflowjs_converter or tfjs writes it, with its weights files beside.',
  ),
  'tfjs/other-net': entry<{ file: string; encoder: string; detail: string }>(
    65,
    (f) => `${f.file} does not hold ${f.encoder} as TF-Slim has it: ${f.detail}.`,
    () => 'Check --encoder; Keras’ own InceptionV3 and models made from it fit inception_v3.',
  ),

  // service endpoints
  'service/no-token': entry<{ host: string }>(
    78,
    (f) => `The page is to listen on ${f.host}, where others reach it, and no token was given.`,
    () => 'Set SHOWTELL_TOKEN or SHOWTELL_TOKEN_FILE, or listen on 127.0.0.1.',
  ),
  'service/short-token': entry<{ length: number; least: number }>(
    78,
    (f) => `The page's token has ${f.length} characters, fewer than ${f.least}.`,
    () => 'Take one that cannot be guessed, such as "openssl rand -hex 16" prints.',
  ),
  'service/port-taken': entry<{ host: string; port: number; what: string; setting: string }>(
    69,
    (f) => `Port ${f.port} on ${f.host}, meant for ${f.what}, is taken by another process.`,
    (f) => `Give another by ${f.setting} (0 takes a free one), or see who holds it: ss -ltnp "sport = :${f.port}".`,
  ),
  'service/cannot-listen': entry<{ host: string; port: number; what: string; setting: string; reason: string }>(
    69,
    (f) => `${f.what} cannot be served on ${f.host}:${f.port}: ${f.reason}.`,
    (f) => `Give an address of this machine and a port above 1023 by ${f.setting}.`,
  ),

  // captions to score
  'captions/unreadable': entry<{ file: string; what: string; reason: string }>(
    65,
    (f) => `${f.what} ${f.file} cannot be read: ${f.reason}.`,
    () =>
      'Give COCO JSON: annotations are {"images": [{"id"}], "annotations": [{"image_id", "caption"}]}, results [{"image_id", "caption"}].',
  ),
  'captions/duplicate-result': entry<{ file: string; imageId: number | string }>(
    65,
    (f) => `Results file ${f.file} has more than one caption for image ${idOf(f.imageId)}.`,
    () => 'Keep one caption an image.',
  ),
  'captions/unknown-image': entry<{ file: string; annotations: string; imageId: number | string; count: number }>(
    65,
    (f) =>
      `Image ${idOf(f.imageId)} in results file ${f.file} is not among the images of ${f.annotations}${ofImages(f.count)}.`,
    () => 'Score the results against the annotations they were made for.',
  ),
  'captions/no-reference': entry<{ file: string; annotations: string; imageId: number | string; count: number }>(
    65,
    (f) =>
      `Image ${idOf(f.imageId)} in results file ${f.file} is listed in ${f.annotations} without a caption to score it by${ofImages(f.count)}.`,
    () => 'Add captions that people wrote to the annotations, or take such images out of the results.',
  ),
  'captions/missing-result': entry<{ file: string; annotations: string; imageId: number | string; count: number }>(
    65,
    (f) =>
      `Results file ${f.file} has no caption for image ${idOf(f.imageId)} of ${f.annotations}${ofImages(f.count)}.`,
    () => 'Caption the missing images, or score the part there is with --partial.',
  ),
  'meteor/no-java': entry<{ install: string }>(
    69,
    () => 'No Java is on PATH, and METEOR is computed by its own program, which needs it.',
    (f) => `Install it: ${f.install}`,
  ),
  'meteor/failed': entry<{ jar: string; detail: string }>(
    70,
    (f) => `METEOR's program ${f.jar} failed: ${f.detail}.`,
    (f) => `It needs 2 GB of memory. Remove ${f.jar} to have it fetched anew, or go without by --no-meteor.`,
  ),
  // units
  'unit/out-of-memory': entry<{ unit: string; failures: readonly string[] }>(
    71,
    (f) =>
      `Memory ran out each time ${f.unit} was computed:\n${f.failures.map((failure) => `  ${failure}`).join('\n')}`,
    () => smallerUnits,
  ),
  'unit/poison': entry<{ unit: string; failures: readonly string[]; records: string }>(
    65,
    (f) =>
      `No worker can compute ${f.unit}, whose records are ${f.records}:\n${f.failures.map((failure) => `  ${failure}`).join('\n')}`,
    () =>
      'Look at those records with "showtell data inspect"; exclude bad ones and begin a new run, or give workers more memory.',
  ),
  'data/split-empty': entry<{ directory: string; split: string }>(
    65,
    (f) => `The data in ${f.directory} have no ${f.split} records.`,
    () =>
      'Build them anew so that every split has some; "showtell data build-coco --help" tells how pictures are split.',
  ),
  // a worker
  'input/picture-undecodable': entry<{ where: string; detail: string }>(
    65,
    (f) => `${f.where} does not decode: ${f.detail}.`,
    () => 'Give a sound JPEG; "showtell data index" finds such records in shards and excludes them by name.',
  ),
  // pictures that people give
  'picture/unknown-format': entry<{ where: string; found: string }>(
    65,
    (f) => `${f.where} is no picture that is read here: it is ${f.found}.`,
    () => 'Give a JPEG, PNG, GIF (its first frame counts), BMP or a still WebP.',
  ),
  'picture/too-large': entry<{ where: string; width: number; height: number; maxMegapixels: number; setting: string }>(
    65,
    (f) =>
      `${f.where} has ${f.width} × ${f.height} pixels, ${Math.ceil((f.width * f.height) / 100_000) / 10} megapixels; at most ${f.maxMegapixels} are decoded.`,
    (f) =>
      `Make it smaller, or raise the limit: ${f.setting} ${Math.ceil((f.width * f.height) / 1_000_000)}. Each megapixel takes 3 MB of memory.`,
  ),
  'picture/too-many-bytes': entry<{ where: string; bytes: number | null; maxBytes: number; setting: string }>(
    65,
    (f) => `${f.where} has ${f.bytes === null ? 'too many' : f.bytes} bytes; at most ${f.maxBytes} are read.`,
    (f) => `Make it smaller, or raise the limit by ${f.setting}.`,
  ),
  'picture/unreadable': entry<{ where: string; detail: string }>(
    66,
    (f) => `${f.where} cannot be read: ${f.detail}.`,
    () => 'Check the path and its permissions.',
  ),
  'picture/none-found': entry<{ input: string; detail: string }>(
    66,
    (f) => `${f.input} leads to no picture: ${f.detail}.`,
    () => 'Names that end in .jpg, .jpeg, .png, .gif, .bmp or .webp are taken for pictures in a folder.',
  ),
  'picture/url-failed': entry<{ url: string; detail: string }>(
    66,
    (f) => `${f.url} gave no picture: ${f.detail}.`,
    () => 'Check the address with a browser; only http and https are fetched, without a log-in.',
  ),
  'caption/sheet-unwritable': entry<{ file: string; detail: string }>(
    73,
    (f) => `The contact sheet ${f.file} cannot be written: ${f.detail}.`,
    () => 'Name a file by --html in a folder that is there, on a disk with room.',
  ),
  'worker/refused': entry<{ code: string; text: string }>(
    78,
    (f) => `The coordinator does not take this worker (${f.code}): ${f.text}`,
    () => 'Start the worker with the same showtell, job and data as the run.',
  ),
  'worker/other-run': entry<{
    address: string;
    there: { run: string; job: string };
    own: { run: string; job: string };
  }>(
    78,
    (f) =>
      `The coordinator at ${f.address} leads run ${f.there.run} of job ${f.there.job.slice(0, 12)}; this worker is for ${f.own.run === '' ? 'a run' : `run ${f.own.run}`} of job ${f.own.job.slice(0, 12)}.`,
    () => "Start the worker with that run's folder or job file, or with the address of its own run's coordinator.",
  ),
  'worker/canary-refused': entry<{ graph: string; got: string; expected: string; engine: string }>(
    78,
    (f) =>
      `This worker's numbers are not the run's: its canary for ${f.graph} on ${f.engine} has hash ${f.got.slice(0, 12)}, the run's is ${f.expected.slice(0, 12)}.`,
    () =>
      'Run it on a machine with the same instruction sets and engine as the first worker, or begin a new run here: kernels differ by processor, and a run promises the same bits on every worker.',
  ),
  'caption/no-vocabulary': entry<{ checkpoint: string; places: readonly string[] }>(
    66,
    (f) => `The words of the checkpoint ${f.checkpoint} are in none of ${f.places.join(', ')}.`,
    () => "Name the data folder's word_counts.txt by --vocabulary.",
  ),
  'caption/other-vocabulary': entry<{ checkpoint: string; file: string }>(
    65,
    (f) => `${f.file} is not the vocabulary that the checkpoint ${f.checkpoint} was trained with.`,
    () => 'Give the word_counts.txt of the data it was trained on; word ids mean other words otherwise.',
  ),
  'perplexity/no-records': entry<{ detail: string }>(
    66,
    (f) => f.detail,
    () =>
      "Name TFRecord files in --records, such as 'mscoco/val-?????-of-00004', in quotes so that no shell reads them.",
  ),
  'perplexity/unknown-word': entry<{ where: string; id: number; word: string; rows: number }>(
    65,
    (f) => `${f.where} has the word id ${f.id} ("${f.word}"), but the checkpoint's tables have ${f.rows} rows.`,
    () => 'Give records that were made with the vocabulary the checkpoint was trained on.',
  ),
  'perplexity/other-words': entry<{ where: string; id: number; word: string; known: string }>(
    65,
    (f) => `${f.where} has the id ${f.id} for "${f.word}", which is "${f.known}" in the checkpoint's vocabulary.`,
    () => 'Give records that were made with the vocabulary the checkpoint was trained on: word ids mean other words.',
  ),
  'worker/no-coordinator': entry<{ where: string; seconds: number; detail: string }>(
    69,
    (f) => `No coordinator answered at ${f.where} within ${f.seconds} s${f.detail === '' ? '' : ` (${f.detail})`}.`,
    () =>
      'Start the run with "showtell train", or wait longer for it with --wait. A run with --tls answers those alone that are started with --tls.',
  ),
  'worker/not-permitted': entry<{ address: string; detail: string }>(
    77,
    (f) => `The coordinator at ${f.address} does not let this process work: ${f.detail}.`,
    () =>
      'Start the worker with the files of the role worker ("showtell certs" makes them) by --tls or SHOWTELL_TLS; by those of worker-NAME it is called NAME and nothing else (--id).',
  ),

  // certificates
  'tls/incomplete': entry<{ folder: string; file: string }>(
    66,
    (f) => `The folder ${f.folder} has no ${f.file} that can be read.`,
    () => 'Name a folder that "showtell certs" made, or one of the roles in it, and check who may read it.',
  ),
  'tls/unusable': entry<{ folder: string; detail: string }>(
    78,
    (f) => `The files in ${f.folder} cannot be used: ${f.detail}.`,
    () =>
      '"showtell certs DIR --renew" makes new ones from the authority in DIR; the role then needs its whole folder.',
  ),
  'tls/other-role': entry<{ folder: string; role: string; wanted: string }>(
    78,
    (f) => `The certificate in ${f.folder} is for the role ${f.role}, not for ${f.wanted}.`,
    (f) => `Name the folder ${f.wanted} that "showtell certs" made, or the one above it.`,
  ),
  'tls/not-yet': entry<{ folder: string; begins: string; now: string }>(
    78,
    (f) => `The certificate in ${f.folder} begins on ${f.begins}, and by this machine's clock it is ${f.now}.`,
    () => 'Set the clock of this machine, or of the one that made the certificate, and there renew it.',
  ),
  'certs/exist': entry<{ folder: string }>(
    73,
    (f) => `${f.folder} holds certificates already.`,
    () => 'Give --renew to replace those of the roles and keep the authority, or name another folder.',
  ),
  'certs/no-authority': entry<{ folder: string; detail: string }>(
    66,
    (f) => `There is no authority in ${f.folder} to make certificates from: ${f.detail}.`,
    () =>
      'Make a new one in another folder and give what it makes to every role; or put back ca.crt and ca.key if they are kept elsewhere.',
  ),
  'certs/unreadable': entry<{ file: string; detail: string }>(
    78,
    (f) => `${f.file}, which is there to be renewed, cannot be read: ${f.detail}.`,
    () =>
      'Remove it and renew again: it is made anew. Name by --host and --bucket what a certificate or nats.conf that is gone had.',
  ),
  // the laptop cluster
  'nats/not-starting': entry<{ binary: string; port: number; log: string }>(
    69,
    (f) => `nats-server (${f.binary}) did not start on port ${f.port}:\n${f.log}`,
    () => '"showtell doctor" says whether it is the right version; "showtell engine setup" installs one.',
  ),
  'worker/hopeless': entry<{ worker: string; code: number; log: string }>(
    69,
    (f) => `${f.worker} cannot work for this run and ended with exit code ${f.code}.`,
    (f) => `Its reason stands at the end of ${f.log}.`,
  ),
  'worker/out-of-memory': entry<{ worker: string; times: number; workers: number }>(
    71,
    (f) => `Memory ran out: ${f.times} of ${f.workers} workers' processes were ended for it, last ${f.worker}.`,
    () => smallerUnits,
  ),
  'worker/dies-at-start': entry<{ worker: string; how: string; log: string }>(
    69,
    (f) => `Workers end soon after their start, again and again; last ${f.worker}: ${f.how}.`,
    (f) => `The reason stands at the end of ${f.log}; "showtell doctor" checks the machine.`,
  ),
  'model/weights-do-not-fit': entry<{ file: string; problems: readonly string[] }>(
    65,
    (f) => {
      const shown = f.problems.slice(0, 8).map((problem) => `  ${problem}`);
      if (f.problems.length > 8) shown.push(`  … and ${f.problems.length - 8} more`);
      return `The encoder's weights in ${f.file} do not fit the job's model:\n${shown.join('\n')}`;
    },
    () => "Give a file with TF-Slim's variable names for the job's model.encoder.name and depthMultiplier.",
  ),
  'run/not-answering': entry<{ run: string; detail: string }>(
    69,
    (f) => `The coordinator of run ${f.run} does not answer: ${f.detail}.`,
    () => 'Look at logs/coordinator.log in its folder.',
  ),
  'data/too-many-corrupt': entry<{ count: number; limit: number; records: readonly string[] }>(
    65,
    (f) =>
      `${f.count} records do not decode, ${f.limit} may be skipped (data.maxCorruptRecords):\n${f.records.map((record) => `  ${record}`).join('\n')}`,
    () => 'Exclude them by "showtell data verify --decode" and "data index", or raise the limit in the job.',
  ),
  'job/vocabulary-too-small': entry<{ directory: string; words: number; rows: number }>(
    78,
    (f) =>
      `The data in ${f.directory} have ${f.words} words, the model's tables only ${f.rows} rows (model.decoder.vocabulary).`,
    (f) => `Set model.decoder.vocabulary to at least ${f.words}, or build the data with a greater --min-word-count.`,
  ),
  'job/other-shards': entry<{ named: number; shards: number }>(
    78,
    (f) => `--shards names ${f.named}, and the job has cluster.parameterShards: ${f.shards}.`,
    () =>
      'Name as many as the job says, or change the job; the result is the same, bit for bit, by any number of them.',
  ),
  'job/none': entry<Record<string, never>>(
    64,
    () => 'No job was named.',
    () => 'Give a job file, --preset demo or im2txt, or --resume with the folder of a run.',
  ),
  'job/no-data': entry<Record<string, never>>(
    64,
    () => 'The job names no data folder.',
    () => 'Add --data DIR, or data.directory to the job file; "showtell data --help" tells how to make one.',
  ),
} as const satisfies Record<string, ErrorEntry<never>>;

export type ErrorCode = keyof typeof errorTable;
export type ErrorFacts<C extends ErrorCode> = Parameters<(typeof errorTable)[C]['text']>[0];

/** A failure from {@link errorTable}. `message` says what and where, `remedy` what to do; the origin is `cause`. */
export class ShowtellError<C extends ErrorCode = ErrorCode> extends Error {
  readonly exitCode: number;
  readonly remedy: string;

  constructor(
    readonly code: C,
    readonly facts: ErrorFacts<C>,
    options?: { cause?: unknown },
  ) {
    const row = errorTable[code] as unknown as ErrorEntry<ErrorFacts<C>>;
    super(row.text(facts), options);
    this.name = 'ShowtellError';
    this.exitCode = row.exit;
    this.remedy = row.remedy(facts);
  }
}
