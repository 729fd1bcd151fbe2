import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { resourcesDocument } from './api/document/document.ts'

/** `npm run docs:resources`. */
const path = join(import.meta.dirname, '..', 'docs', 'storageinstance.md')
writeFileSync(path, resourcesDocument())
console.log(`${path} is written`)
