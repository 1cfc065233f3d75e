import { CrashDisk, type DiskOperation } from './crash-disk.ts'
import { afterPowerCut, copyOf, type FolderNode, keyOf, newFolder } from './crash-disk-tree.ts'
import type { LoadPlace } from './simulated-vision.ts'
import { type Facts, noFacts } from './update-facts.ts'
import { type Failures, type Fleet, Life } from './update-life.ts'
import { type Offer, transportOf } from './update-world.ts'

/** A disk as something has left it, and what was known of the device. */
export type Situation = {
  readonly root: FolderNode
  /** The start of the board that finds it. */
  readonly bootId: string
  readonly facts: Facts
  /** How it came to it, in words. */
  readonly story: readonly string[]
}

export const emptyDisk: Situation = { root: newFolder(), bootId: 'a', facts: noFacts, story: [] }

export type Scenario = {
  readonly fleet: Fleet
  readonly offer: Offer
  readonly failures?: Failures
  /** What happens in each life, the last one included. */
  readonly script: (life: Life) => Promise<void>
  /** What is wrong at the end of one that no crash has ended. */
  readonly check: (life: Life) => readonly string[]
}

/** A moment in a life, just before something changes on the disk, or a model is loaded. */
type Moment = Omit<Situation, 'story'> & { readonly next: string }

export type Lived = {
  readonly problems: readonly string[]
  /** All of them; a life that goes on does no harm to the disks that a crash would have left. */
  readonly moments: readonly Moment[]
  /** As it ended. */
  readonly left: Situation
}

export const loadOf = (version: string, place: LoadPlace): string => `load of ${version} (${place})`

/** One life on a copy of the disk, to its end. */
export async function liveOn(situation: Situation, scenario: Scenario, { records = true } = {}): Promise<Lived> {
  const { bootId, story } = situation
  using disk = new CrashDisk(copyOf(situation.root))
  let { facts } = situation
  const moments: Moment[] = []
  const note = (next: string) => moments.push({ root: copyOf(disk.root), bootId, facts, next })
  if (records) disk.onChange = ({ name, path }: DiskOperation) => note(`${name} ${path}`)
  const { fleet, offer, failures = {} } = scenario
  const transport = transportOf(offer.files)
  const onFacts = (seen: Facts) => {
    facts = seen
  }
  const onLoad = (version: string, place: LoadPlace) => {
    if (records) note(loadOf(version, place))
  }
  // Each life expects dozens of errors, with stacks that nobody reads.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  const life = await Life.start({ disk, fleet, transport, failures, bootId, facts, onFacts, onLoad })
  if (life.isOpen) {
    await scenario.script(life)
    life.problems.push(...scenario.check(life))
    await life.end()
  }
  Error.stackTraceLimit = stackTraceLimit
  if (records) note('the end')
  const problems = life.problems.map((problem) => [...story, problem].join(' > '))
  return { problems, moments, left: { root: copyOf(disk.root), bootId, facts, story } }
}

/** `a`, `b`, `c` and so on: never one of those before. */
const nextBoot = (bootId: string) => String.fromCharCode(bootId.charCodeAt(0) + 1)

/** What a crash at that moment can leave: as it is when the process is killed, and all that a power cut can make of it. */
export function* crashesAt({ root, bootId, facts, next }: Moment, story: readonly string[]): Generator<Situation> {
  yield { root, bootId, facts, story: [...story, `killed before ${next}`] }
  yield* powerCutsAt({ root, bootId, facts, next }, story)
}

export function* powerCutsAt({ root, bootId, facts, next }: Moment, story: readonly string[]): Generator<Situation> {
  let which = 0
  for (const left of afterPowerCut(root)) {
    const event = `power cut before ${next} (${++which})`
    yield { root: left, bootId: nextBoot(bootId), facts, story: [...story, event] }
  }
}

/** Lets each situation pass once. */
class Sieve {
  readonly #seen = new Set<string>()
  /** How many came to it. */
  crashes = 0;

  *fresh(situations: Iterable<Situation>): Generator<Situation> {
    for (const situation of situations) {
      this.crashes++
      const key = `${situation.bootId} ${keyOf(situation.root)} ${JSON.stringify(situation.facts)}`
      if (this.#seen.has(key)) continue
      this.#seen.add(key)
      yield situation
    }
  }
}

/** The same numbers in each run (mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

export type Exploration = {
  /** Moments times disks that a crash can leave then. */
  readonly crashes: number
  /** Those of them that differ, each of which was lived from to the end. */
  readonly once: number
  /** Lives after a second crash. */
  readonly twice: number
  readonly problems: readonly string[]
}

/**
 * Crashes at each moment of a life, in each way, and lives on from there; then crashes in these lives as well: everywhere, or
 * at `perLife` moments of each, in one way, by chance. After a kill also by a power cut that keeps nothing, each time that the
 * world has just learnt something: then it shows whether what the killed process has left was taken for durable.
 */
export async function explore(
  start: Situation,
  scenario: Scenario,
  { perLife, seed }: { readonly perLife: number | 'all'; readonly seed: number },
): Promise<Exploration> {
  const chance = seeded(seed)
  const sieve = new Sieve()
  const first = await liveOn(start, scenario)
  const problems = [...first.problems]
  const after = [...sieve.fresh(first.moments.flatMap((moment) => [...crashesAt(moment, start.story)]))]
  const { crashes } = sieve
  let twice = 0
  for (const situation of after) {
    // More than anybody reads.
    if (problems.length >= 20) break
    const second = await liveOn(situation, scenario)
    problems.push(...second.problems)
    for (const again of sieve.fresh(secondCrashes(second.moments, situation))) {
      twice++
      problems.push(...(await liveOn(again, scenario, { records: false })).problems)
    }
  }
  return { crashes, once: after.length, twice, problems }

  function* secondCrashes(moments: readonly Moment[], { story, bootId }: Situation): Generator<Situation> {
    if (perLife === 'all') {
      for (const moment of moments) yield* crashesAt(moment, story)
      return
    }
    for (let i = 0; i < perLife; i++) {
      const moment = moments[chance(moments.length)]
      const ways = moment === undefined ? [] : [...crashesAt(moment, story)]
      yield* ways.slice(chance(ways.length)).slice(0, 1)
    }
    const isAfterKill = bootId === start.bootId
    for (const moment of isAfterKill ? news(moments) : []) yield* [...powerCutsAt(moment, story)].slice(0, 1)
  }
}

/** The first moment after each change of what is known, and the last one. */
function news(moments: readonly Moment[]): Moment[] {
  const known = moments.map(({ facts }) => JSON.stringify(facts))
  return moments.filter((_, i) => i === moments.length - 1 || (i > 0 && known[i] !== known[i - 1]))
}
