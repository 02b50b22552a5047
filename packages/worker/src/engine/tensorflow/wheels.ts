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
  'cuda linux-x64': {
    tensorflow: tensorflow(
      'tensorflow',
      x64,
      572_611_111,
      'b3b95643c4e70eb925839938fb35cbe142f317ec84af6844ee61513713bb13c0',
    ),
    libraries: cudaLibraries(),
  },
  // There is no tensorflow-cpu for arm64; `tensorflow` is built without CUDA there.
  'cpu linux-arm64': {
    tensorflow: tensorflow(
      'tensorflow',
      arm64,
      281_946_471,
      'b07d15737406533898e36c7ef7944b1be18e9028dc521b9229952c537bbc5552',
    ),
    libraries: [],
  },
};

/** The wheels of `kind` on this machine. Throws `engine/unsupported-platform`. */
export function engineWheels(kind: EngineKind, platform = thisPlatform()): EngineWheels {
  const wheels = table[`${kind} ${platform}`];
  if (wheels === undefined) throw new ShowtellError('engine/unsupported-platform', { platform, engine: kind });
  return wheels;
}

/** The wheels are linked with glibc; a system without it (Alpine) is another platform. */
function thisPlatform(): string {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const musl = process.platform === 'linux' && header.glibcVersionRuntime === undefined ? '-musl' : '';
  return `${process.platform}-${process.arch}${musl}`;
}

function tensorflow(project: string, platform: string, bytes: number, sha256: string): Wheel {
  const file = `${project.replaceAll('-', '_')}-${tensorflowVersion}-cp312-cp312-${platform}.whl`;
  return { project, version: tensorflowVersion, file, platform, bytes, sha256 };
}

function library(name: string, version: string, tags: string, bytes: number, sha256: string): Wheel {
  const project = `nvidia-${name}-cu12`;
  const file = `${project.replaceAll('-', '_')}-${version}-py3-none-${tags}.whl`;
  return { project, version, file, platform: tags.split('.')[0] ?? tags, bytes, sha256 };
}

/** What `tensorflow[and-cuda]` 2.21.0 asks for, each at one version. */
function cudaLibraries(): readonly Wheel[] {
  return [
    library(
      'cublas',
      '12.9.3.13',
      'manylinux_2_27_x86_64',
      581_217_458,
      'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72',
    ),
    library(
      'cuda-cupti',
      '12.8.90',
      'manylinux2014_x86_64.manylinux_2_17_x86_64',
      10_248_621,
      'ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182',
    ),
    library(
      'cuda-nvcc',
      '12.9.86',
      'manylinux2010_x86_64.manylinux_2_12_x86_64',
      40_546_229,
      '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0',
    ),
    library(
      'cuda-nvrtc',
      '12.9.86',
      'manylinux2010_x86_64.manylinux_2_12_x86_64',
      89_568_129,
      '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4',
    ),
    library(
      'cuda-runtime',
      '12.9.79',
      'manylinux2014_x86_64.manylinux_2_17_x86_64',
      3_493_179,
      '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3',
    ),
    library(
      'cudnn',
      '9.28.0.42',
      'manylinux_2_27_x86_64',
      716_538_495,
      '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375',
    ),
    library(
      'cufft',
      '11.4.1.4',
      'manylinux2014_x86_64.manylinux_2_17_x86_64',
      200_877_592,
      'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28',
    ),
    library(
      'curand',
      '10.3.10.19',
      'manylinux_2_27_x86_64',
      68_295_626,
      '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e',
    ),
    library(
      'cusolver',
      '11.7.5.82',
      'manylinux_2_27_x86_64',
      338_117_415,
      '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88',
    ),
    library(
      'cusparse',
      '12.5.10.65',
      'manylinux2014_x86_64.manylinux_2_17_x86_64',
      366_465_088,
      '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78',
    ),
    library(
      'nccl',
      '2.32.3',
      'manylinux_2_27_x86_64',
      351_526_311,
      'bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c',
    ),
    library(
      'nvjitlink',
      '12.9.86',
      'manylinux2010_x86_64.manylinux_2_12_x86_64',
      39_748_338,
      'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9',
    ),
  ];
}
