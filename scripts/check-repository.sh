#!/bin/sh
# Checks for content that does not belong into the repository: paths of a developer's machine,
# addresses of a package registry, large files. Then checks the language: check-words.mjs.
set -eu
cd "$(dirname "$0")/.."

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  files=$(git ls-files --cached --others --exclude-standard)
else
  files=$(find . -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path './.[tc]*/*' | sed 's|^\./||')
fi

problems=$(
  printf '%s\n' "$files" | while IFS= read -r file; do
    [ -f "$file" ] || continue
    # The brackets keep the pattern from matching this file.
    grep -HnIE '(^|[^[:alnum:]_.-])/(wor[k]|roo[t])/' "$file" | sed 's/$/   <- a path of one machine/'
    case $file in
      *.md) ;;
      *lock.yaml | *lock.json) grep -HnE 'https?://|tarball:' "$file" | sed 's/$/   <- an address in a lockfile/' ;;
      *) grep -HnIE '(registry *[=:] *.?http|_authToke[n])' "$file" | sed 's/$/   <- a package registry/' ;;
    esac
    size=$(wc -c <"$file")
    [ "$size" -le 5242880 ] || echo "$file: $size bytes   <- more than 5 MiB"
  done | cut -c 1-300
)
[ -z "$problems" ] || printf '%s\n' "$problems"
printf '%s\n' "$files" | node scripts/check-words.mjs
[ -z "$problems" ]
