import { mkdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../support/eventually.ts'
import { binaryPath, buildParts, type Report } from './build/build.ts'
import { NODE_PARTS, part } from './build/parts.ts'
import type { BuiltImage } from './images/layout.ts'
import { makePartImage } from './images/part-image.ts'
import { makeBaseImage, makeProjectImages } from './images/project-images.ts'
import { provideImages } from './images/provide.ts'
import { kubectl, tryKubectl } from './kubectl.ts'
import { withLock } from './node/lock.ts'
import { ensureNode } from './node/make.ts'
import { checkImageTools, checkMachine } from './node/requirements.ts'
import { finishState } from './node/state.ts'
import { CLUSTER, clusterPaths, foreignKubeconfig } from './place.ts'

const MANIFESTS = join(import.meta.dirname, 'manifests')
const NODE_IMAGES = ['pause', 'coredns', 'local-path-provisioner']
const READY_TIMEOUT_MS = 120_000

export type UpOptions = {
  /** Without the project's images: a bare cluster. */
  bare?: boolean
}

/** Brings the cluster up: the one of KUBECONFIG, or one of our own. What is there already is left as it is. */
export async function clusterUp(report: Report, options: UpOptions = {}): Promise<void> {
  if (foreignKubeconfig()) return prepareForeign(report)
  await checkMachine()
  await withLock(CLUSTER, () => bringUp(report, options))
}

async function bringUp(report: Report, options: UpOptions): Promise<void> {
  const binaries = await buildParts(NODE_PARTS, report)
  await mkdir(CLUSTER, { recursive: true })
  await ensureNode(CLUSTER, binaries, report)
  // The API server starts meanwhile.
  await provideImages(await makeImages(NODE_IMAGES, options, report), report)
  report('waiting for the API server ...')
  await eventually(async () => (await tryKubectl(['get', '--raw', '/readyz'])).code === 0, {
    timeoutMs: READY_TIMEOUT_MS,
  })
  await applyManifests(['dns', 'storage', 'standard-class'])
  report('waiting for the node and its services ...')
  await waitForNode()
  await linkPrograms()
  await finishState(clusterPaths(CLUSTER).node)
}

/** The class of small volumes comes with its provisioner; everything else is there. */
async function prepareForeign(report: Report): Promise<void> {
  await checkImageTools()
  await buildParts([part('kubectl'), part('local-path-provisioner')], report)
  await provideImages(await makeImages(['local-path-provisioner'], {}, report), report)
  await applyManifests(['storage', 'hand'])
  await kubectl(['rollout', 'status', '-n', 'sonoma-cluster-storage', 'deployment/provisioner', '--timeout=120s'])
}

async function makeImages(parts: string[], { bare }: UpOptions, report: Report): Promise<BuiltImage[]> {
  report('building the images ...')
  const images = bare ? [await makeBaseImage()] : await makeProjectImages()
  for (const name of parts) images.push(await makePartImage(name, binaryPath(part(name))))
  return images
}

async function applyManifests(names: string[]): Promise<void> {
  const files = names.flatMap((name) => ['-f', join(MANIFESTS, `${name}.yaml`)])
  await kubectl(['apply', '--server-side', '--force-conflicts', ...files])
}

async function waitForNode(): Promise<void> {
  await kubectl(['wait', '--for=create', 'node/node', '--timeout=60s'])
  await kubectl(['wait', '--for=condition=Ready', 'node/node', '--timeout=60s'])
  await kubectl(['rollout', 'status', '-n', 'kube-system', 'deployment/coredns', '--timeout=120s'])
  await kubectl(['rollout', 'status', '-n', 'sonoma-cluster-storage', 'deployment/provisioner', '--timeout=120s'])
}

/** For people: kubectl of the cluster's version, in .cluster/bin. */
async function linkPrograms(): Promise<void> {
  const { programs } = clusterPaths(CLUSTER)
  await rm(programs, { recursive: true, force: true })
  await mkdir(programs)
  await symlink(binaryPath(part('kubectl')), join(programs, 'kubectl'))
}
