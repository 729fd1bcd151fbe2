import { describe, expect, test } from 'vitest'
import { HttpServer, probe } from '../../../operator/process/http-server.ts'
import { Metrics } from '../../../operator/process/metrics.ts'

const SOURCES = {
  queue: { depth: 3, workingSeconds: () => [1.5, 4] },
  workers: { active: 2 },
  maxWorkers: 10,
  isLeader: () => true,
  cached: () => [['storageinstances', 7]] as const,
  instances: () => [],
}

describe('the metrics', () => {
  test('have the names and labels of controller-runtime', async () => {
    const metrics = new Metrics('1.2.3')
    metrics.watch(SOURCES)
    const observer = metrics.queueObserver()
    observer.added?.()
    observer.retried?.()
    observer.taken?.(0.1)
    observer.finished?.(0.2)
    metrics.reconciled({ key: 'n/a', result: 'error', seconds: 0.1, failures: 1, error: new Error('x') })
    metrics.request({ code: '200', method: 'GET', host: 'api:443' }, 0.01)
    const text = await metrics.registry.metrics()
    for (const line of [
      'controller_runtime_reconcile_total{controller="storageinstance",result="error"} 1',
      'controller_runtime_reconcile_total{controller="storageinstance",result="success"} 0',
      'controller_runtime_reconcile_errors_total{controller="storageinstance"} 1',
      'controller_runtime_reconcile_time_seconds_count{controller="storageinstance"} 1',
      'controller_runtime_active_workers{controller="storageinstance"} 2',
      'controller_runtime_max_concurrent_reconciles{controller="storageinstance"} 10',
      'workqueue_depth{name="storageinstance",controller="storageinstance"} 3',
      'workqueue_adds_total{name="storageinstance",controller="storageinstance"} 1',
      'workqueue_retries_total{name="storageinstance",controller="storageinstance"} 1',
      'workqueue_queue_duration_seconds_count{name="storageinstance",controller="storageinstance"} 1',
      'workqueue_work_duration_seconds_count{name="storageinstance",controller="storageinstance"} 1',
      'workqueue_longest_running_processor_seconds{name="storageinstance",controller="storageinstance"} 4',
      'workqueue_unfinished_work_seconds{name="storageinstance",controller="storageinstance"} 5.5',
      'rest_client_requests_total{code="200",method="GET",host="api:443"} 1',
      'leader_election_master_status{name="storageinstance"} 1',
      'reflector_cached_objects{resource="storageinstances"} 7',
      'sonoma_operator_build_info{version="1.2.3"} 1',
    ]) {
      expect(text).toContain(line)
    }
  })

  test('a source that throws leaves its figure out, and the others are there', async () => {
    const metrics = new Metrics('1')
    const broken = () => {
      throw new Error('broken')
    }
    metrics.watch({ ...SOURCES, isLeader: broken, cached: broken })
    const text = await metrics.registry.metrics()
    expect(text).toContain('workqueue_depth{name="storageinstance",controller="storageinstance"} 3')
    expect(text).not.toContain('leader_election_master_status{')
  })
})

describe('the probes', () => {
  test('answer 200 or 503 with what is wrong; other paths and methods, and a page that fails, are told apart', async () => {
    let problem: string | undefined
    const broken = () => {
      throw new Error('broken')
    }
    const server = new HttpServer({ '/livez': probe(() => problem), '/broken': broken })
    const port = await server.start('127.0.0.1', 0)
    const ask = async (path: string, method = 'GET') => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method })
      return [answer.status, await answer.text()]
    }
    expect(await ask('/livez?verbose')).toEqual([200, 'ok\n'])
    problem = 'Not seen yet: jobs.'
    expect(await ask('/livez')).toEqual([503, 'Not seen yet: jobs.\n'])
    expect((await ask('/'))[0]).toBe(404)
    expect((await ask('/livez', 'POST'))[0]).toBe(405)
    expect((await ask('/broken'))[0]).toBe(500)
    await server.stop()
    await server.stop()
  })
})
