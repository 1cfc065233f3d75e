import { type UpdateControl, type UpdateOutcome, type UpdateStatus, updatesOff } from '../../src/core/update-status.ts'

/** How updates can stand. */

export const modelOne = { name: 'ssdlite-mobilenet-v2-coco', version: '1' }
export const modelTwo = { name: 'ssdlite-mobilenet-v2-coco', version: '2' }

export const outcome: UpdateOutcome = {
  model: modelTwo,
  outcome: 'rolled_back',
  code: 'bad_output',
  reason: 'NaN came out of it',
  ts: '2026-11-25T08:00:00.000Z',
}

export function updateStatus(change: Partial<UpdateStatus> = {}): UpdateStatus {
  return {
    ...updatesOff,
    enabled: true,
    active: modelOne,
    group: 'porches',
    rollout: 'yes',
    metadata: { root: 1, timestamp: 12, snapshot: 9, targets: 3 },
    checked: '2026-11-25T08:00:00.000Z',
    ...change,
  }
}

/** An updater that notes what it is asked for. */
export function notingUpdates(): UpdateControl & { readonly asked: (string | number)[] } {
  const asked: (string | number)[] = []
  const note = (what: string) => async () => {
    asked.push(what)
  }
  return {
    asked,
    hint: (version) => asked.push(version),
    check: note('check'),
    install: note('install'),
    cancel: note('cancel'),
    pause: note('pause'),
    resume: note('resume'),
    retry: note('retry'),
    rollback: note('rollback'),
  }
}
