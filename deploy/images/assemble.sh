#!/bin/sh
# Makes the folder of an installation: the workspace's dependencies, and in the place of its links the packed packages. What no
# process loads is left out: types, source maps, tfjs' bundles for browsers, WebGPU's libraries for other systems.
#   assemble.sh WORKSPACE TARBALLS INSTALLATION
set -eu
workspace=$1 tarballs=$2 installation=$3
modules=$installation/node_modules

mkdir -p "$installation"
mv "$workspace/node_modules" "$modules"
for name in shared worker coordinator; do
  rm "$modules/@showtell/$name"
  mkdir "$modules/@showtell/$name"
  tar -xzf "$tarballs/showtell-$name"-*.tgz --no-same-owner --strip-components=1 -C "$modules/@showtell/$name"
  if [ -d "$workspace/packages/$name/node_modules" ]; then
    mv "$workspace/packages/$name/node_modules" "$modules/@showtell/$name/"
  fi
done
chmod a+x "$modules"/@showtell/*/bin/*.js

find "$modules" -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' \) -delete
find "$modules/@tensorflow" -type f \( -name '*.min.js' -o -name '*.es2017.js' -o -name '*.fesm.js' -o -name '*_test.js' \) -delete
system=linux-$(node --print process.arch)
find "$modules/webgpu/dist" -mindepth 1 -maxdepth 1 ! -name "$system" -exec rm -r {} +
