import { ShowtellError } from '@showtell/shared/errors.js';
import type { Wheel } from '@showtell/shared/set-up/wheel.js';

export type EngineKind = 'cpu' | 'cuda';

export const tensorflowVersion = '2.21.0';

/** What an engine is made of: TensorFlow's own wheel and, for CUDA, the libraries NVIDIA publishes as wheels. */
export interface EngineWheels {
  readonly tensorflow: Wheel;
  readonly libraries: readonly Wheel[];
}

const x64 = 'manylinux_2_27_x86_64';
const arm64 = 'manylinux_2_27_aarch64';

const table: Partial<Record<`${EngineKind} ${string}`, EngineWheels>> = {
  'cpu linux-x64': {
    tensorflow: tensorflow(
      'tensorflow-cpu',
      x64,
      274_000_871,
      'dcc8afd32930e42d5296b6ee19078b773706830af4ea97fbe503b9f5e0f820cb',
    ),
    libraries: [],
  },
  // There is no tensorflow-cpu for arm64; `tensorflow` is built without CUDA there.
  'cpu linux-arm64': {
    tensorflow: tensorflow('tensorflow', arm64, 0, 'b07d15737406533898e36c7ef7944b1be18e9028dc521b9229952c537bbc5552'),
    libraries: [],
  },
};

/** The wheels of `kind` on this machine. Throws `engine/unsupported-platform`. */
export function engineWheels(kind: EngineKind, platform = `${process.platform}-${process.arch}`): EngineWheels {
  const wheels = table[`${kind} ${platform}`];
  if (wheels === undefined) throw new ShowtellError('engine/unsupported-platform', { platform, engine: kind });
  return wheels;
}

function tensorflow(project: string, platform: string, bytes: number, sha256: string): Wheel {
  const file = `${project.replaceAll('-', '_')}-${tensorflowVersion}-cp312-cp312-${platform}.whl`;
  return { project, version: tensorflowVersion, file, platform, bytes, sha256 };
}
