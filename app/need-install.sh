# Before the packages are there, Node.js answers a program in TypeScript with a stack trace.
if [ ! -e node_modules/pg ]; then
  echo 'The packages are not installed: run "npm ci" first.' >&2
  exit 2
fi
if [ ! -e node_modules/.bin/node ] && ! node -e 'process.exit(process.features.typescript ? 0 : 1)'; then
  echo 'Node 24 is needed, and npm did not install it: it does on Linux (x64, arm64), unless told to omit optional packages.' >&2
  exit 2
fi
