import { RUN_KIND_NAMES, runKind } from './api/run-kinds.ts'

/** For `npm run bundle`: the entry points of everything that runs in a pod of a run or of a database. */
const programs = ['init-database', ...RUN_KIND_NAMES.flatMap((kind) => runKind(kind).program ?? [])]
console.log(programs.map((name) => `operator/tasks/${name}.ts`).join(' '))
