import { App, YamlOutputType } from 'cdk8s'
import { Install } from './charts/install.ts'
import { Monitoring } from './charts/monitoring.ts'
import type { InstallOptions } from './options.ts'

/** The manifests as an app that writes `install.yaml` and `monitoring.yaml` into `outdir`; the same options, the same bytes. */
export function manifestsApp(options: InstallOptions, outdir: string): App {
  const app = new App({ outdir, outputFileExtension: '.yaml', yamlOutputType: YamlOutputType.FILE_PER_CHART })
  new Install(app, 'install', options)
  new Monitoring(app, 'monitoring', options)
  return app
}
