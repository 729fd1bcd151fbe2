import { manifestsApp } from './app.ts'
import { helpText, type InstallOptions, readCommand } from './options.ts'

/** `npm run synth`. */
function main(): void {
  const { help, out, install } = readCommand(process.argv.slice(2), process.env)
  if (help) console.log(helpText())
  else synthesize(install, out)
}

function synthesize(install: InstallOptions, out: string): void {
  manifestsApp(install, out).synth()
  console.log(`Written: ${out}/install.yaml and ${out}/monitoring.yaml`)
  console.log(`Install: kubectl apply --server-side -f ${out}/install.yaml`)
}

try {
  main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
