#!/usr/bin/env bash
# Let terraform, or tofu, check what `make synth` wrote: syntax, references, and each argument by the provider
# itself. It asks no cloud and needs no credentials. Where the binary or the provider is not at hand it says
# so and that is no fault; status 1 is a stack that is wrong.
#
#     infra/validate.sh [folder of stacks]
set -euo pipefail

stacks=${1:-$(dirname "$0")/cdktf.out/stacks}
# A provider that is not at hand is said in these words, by the tools themselves.
absent='Failed to query available provider packages|Failed to install provider|Could not retrieve the list of available versions|provider registry .* does not have a provider|Could not connect|no available releases match|Inconsistent dependency lock file'

tool=
for name in terraform tofu; do
  if command -v "$name" >/dev/null; then tool=$name && break; fi
done
if [[ -z $tool ]]; then
  echo 'validate: neither terraform nor tofu is on the PATH: nothing was checked'
  exit 0
fi
if ! compgen -G "$stacks/*/cdk.tf.json" >/dev/null; then
  echo "validate: there is no stack in $stacks: run \"make synth\" first" >&2
  exit 1
fi

export TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1
status=0
for stack in "$stacks"/*/; do
  name=$(basename "$stack")
  if ! said=$("$tool" "-chdir=$stack" init -backend=false -input=false -no-color 2>&1); then
    if [[ $said =~ $absent ]]; then
      wanted=$(grep -oE 'hashicorp/[a-z-]+' <<<"$said" | sort -u | paste -sd' ')
      echo "validate: $name: read, but not checked: its provider ($wanted) is not at hand for $tool"
    else
      printf 'validate: %s: not well\n%s\n' "$name" "$said"
      status=1
    fi
  elif said=$("$tool" "-chdir=$stack" validate -no-color 2>&1); then
    echo "validate: $name: well, says $("$tool" version | head -1)"
  else
    printf 'validate: %s: not well\n%s\n' "$name" "$said"
    status=1
  fi
done
exit "$status"
