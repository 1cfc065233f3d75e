import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, vi } from 'vitest'
import { emptyDisk, liveOn, type Scenario, type Situation } from './crash-explorer.ts'
import './memoized-crypto.ts'
import './no-waiting.ts'
import type { Failures, Life } from './update-life.ts'
import { desiredIn, makeWorld, type Offer, type UpdateWorld } from './update-world.ts'

/** What can happen to one device of a fleet that came with model 0, was offered 1, then a new timestamp, then 2. */

let world: UpdateWorld | undefined

/** Makes the repository for the tests of a file. */
export function withWorld(): void {
  const folder = mkdtempSync(join(tmpdir(), 'sightd-test-'))
  beforeAll(async () => {
    // So that two disks are the same when only the time is not.
    vi.useFakeTimers({ toFake: ['Date'] })
    world = await makeWorld(folder, ['1', '1', '2'])
  })
  afterAll(async () => {
    vi.useRealTimers()
    await rm(folder, { recursive: true })
  })
}

type End = {
  /** In charge at the end. */
  readonly active: '0' | '1' | '2'
  /** On the list of those that failed. */
  readonly bad?: '2'
  readonly failures?: Failures
  /** The files of the model before are damaged. */
  readonly isPreviousLost?: boolean
}

/** A device that is offered something, looks twice, and comes to that end, with nothing left over. */
export function offering(what: '1' | 'a new timestamp' | '2', end: End): Scenario {
  if (world === undefined) throw new Error('no world yet')
  const offer = world.offers[['1', 'a new timestamp', '2'].indexOf(what)]
  if (offer === undefined) throw new Error('it was never offered')
  const script = async (life: Life) => {
    await life.look()
    await life.look()
  }
  return {
    fleet: world.fleet,
    offer,
    failures: end.failures ?? {},
    script,
    check: (life) => wrongWith(life, offer, end),
  }
}

function wrongWith(life: Life, offer: Offer, { active, bad, isPreviousLost = false }: End): string[] {
  const { serving, stored } = life
  const { record } = stored
  const found = {
    serving,
    active: record?.active?.version ?? '0',
    bad: (record?.bad ?? []).map(([sha256]) => sha256),
    stage: record?.stage,
    candidate: record?.candidate,
    litter: stored.litter(desiredIn(offer)).filter((name) => !(isPreviousLost && name.startsWith('no whole'))),
  }
  const due = {
    serving: active,
    active,
    bad: bad === undefined ? [] : [offer.model.sha256],
    stage: 'idle',
    candidate: null,
    litter: [],
  }
  if (JSON.stringify(found) === JSON.stringify(due)) return []
  return [`it ended with ${JSON.stringify(found)}; ${life.updater.status.reason}`]
}

/** The disk that a life leaves which nothing has cut short. */
async function after(scenario: Scenario, start: Situation = emptyDisk): Promise<Situation> {
  const { left, problems } = await liveOn(start, scenario, { records: false })
  expect(problems).toEqual([])
  return left
}

/** With model 1 in charge. */
export const withFirst = () => after(offering('1', { active: '1' }))

/** With model 2 in charge, and 1 to go back to. */
export const withSecond = async () => after(offering('2', { active: '2' }), await withFirst())

/** With model 1 in charge, the second's files there, and nothing else of it. */
export async function withSecondFetched(): Promise<Situation> {
  const { moments } = await liveOn(await withFirst(), offering('2', { active: '2' }))
  const moment = moments.find(({ next }) => next.startsWith('mkdir ota/models/'))
  if (moment === undefined) throw new Error('it was never made ready')
  return { ...moment, story: [] }
}

/** Model 2 is in charge and offered, and somebody wants 1 back, until it is seen to be there. */
export function rolledBackByCommand(): Scenario {
  const scenario = offering('2', { active: '1', bad: '2' })
  const script = async (life: Life) => {
    if (life.updater.status.active?.version === '2') await life.rollback('1')
    await scenario.script(life)
  }
  return { ...scenario, script }
}
