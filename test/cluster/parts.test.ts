import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { helm } from './kit/helm.ts'
import { ensureMetricsServer } from './kit/metrics-server.ts'
import { useNamespace } from './kit/namespace.ts'
import { useParts } from './kit/optional-part.ts'
import { s3Requests, startS3 } from './kit/s3.ts'
import { kubectl } from './kubectl.ts'

useParts('helm', 'versitygw', 'metrics-server')
const space = useNamespace('parts')

const MAP = `
apiVersion: v1
kind: ConfigMap
metadata: { name: {{ .Release.Name }}, labels: { app.kubernetes.io/managed-by: {{ .Release.Service }} } }
data: { said: {{ .Values.said | quote }} }
`

test('Helm installs a chart and takes it away again', async () => {
  const chart = await temporaryFolder()
  await mkdir(join(chart, 'templates'))
  await writeFile(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: tiny\nversion: 1.0.0\n')
  await writeFile(join(chart, 'templates', 'map.yaml'), MAP)
  await helm('install', 'tiny', chart, '-n', space.name, '--set', 'said=hello')
  expect(await space.get('configmap/tiny')).toMatchObject({ data: { said: 'hello' } })
  await helm('uninstall', 'tiny', '-n', space.name)
  expect(await space.list('configmaps', 'app.kubernetes.io/managed-by=Helm')).toEqual([])
})

test('the S3 server keeps an object, and refuses who has no key', async () => {
  const s3 = await startS3(space)
  const request = await s3Requests(space, s3)
  expect((await request('/bucket', { method: 'PUT' })).status).toBe(200)
  expect((await request('/bucket/a/b', { method: 'PUT', body: 'kept' })).status).toBe(200)
  expect(await (await request('/bucket/a/b')).text()).toBe('kept')
  const { url } = await space.portForward('deployment/s3', 7070)
  expect((await fetch(`${url}/bucket/a/b`)).status).toBe(403)
})

test('metrics-server tells what pods use', async () => {
  await ensureMetricsServer()
  await eventually(async () => expect(await kubectl(['top', 'pods', '-n', 'kube-system'])).toMatch(/coredns.*\d+Mi/), {
    timeoutMs: 60_000,
  })
})
