import { describe, expect, it } from 'vitest';
import { installHint, packageManager } from '@showtell/shared/set-up/install-hint.js';

describe('packageManager', () => {
  it.each([
    ['ID=debian\nVERSION_ID="12"\n', 'apt'],
    ['NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', 'apt'],
    ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'dnf'],
    ['ID=alpine\n', 'apk'],
    ['ID=somebody\n', undefined],
    ['', undefined],
  ])('reads %j as %s', (osRelease, manager) => {
    expect(packageManager('linux', osRelease)).toBe(manager);
  });

  it('is Homebrew on macOS', () => {
    expect(packageManager('darwin', '')).toBe('brew');
  });
});

describe('installHint', () => {
  it('is one command that can be pasted', () => {
    expect(installHint(['compiler', 'python'], 'apt', true)).toBe(
      'apt-get update && apt-get install -y g++ python3 python3-pip',
    );
    expect(installHint(['compiler'], 'dnf', false)).toBe('sudo dnf install -y gcc-c++');
    expect(installHint(['pip'], 'apt', false)).toBe('sudo apt-get update && sudo apt-get install -y python3-pip');
    expect(installHint(['compiler'], 'brew', false)).toBe('brew install gcc');
  });
});
