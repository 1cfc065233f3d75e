import { type Finding, foundObjects } from '../core/prediction.ts'

/** How many results in a row a change must last before it counts: one frame's slip is no news. */
const confirmations = 3

export type Sighting = { readonly label: string; readonly count: number; readonly score: number }

/** What is in view, as one would say it: labels with counts, steady against single odd results. */
export class Scene {
  #shown = ''
  #candidate = ''
  #agreeing = 0

  /** The new content of the view if it has just changed, best score first. */
  note(finding: Finding): readonly Sighting[] | undefined {
    const sightings = summarize(finding)
    const key = sightings
      .map(({ label, count }) => `${label}×${count}`)
      .sort()
      .join(' ')
    this.#agreeing = key === this.#candidate ? this.#agreeing + 1 : 1
    this.#candidate = key
    if (key === this.#shown || this.#agreeing < confirmations) return undefined
    this.#shown = key
    return sightings
  }
}

/** A classifier's best label is what it sees; the others are its doubts. */
function summarize(finding: Finding): Sighting[] {
  const objects = finding.task === 'classification' ? finding.predictions.slice(0, 1) : foundObjects(finding)
  const byLabel = Map.groupBy(objects, ({ label }) => label)
  return [...byLabel]
    .map(([label, found]) => ({ label, count: found.length, score: Math.max(...found.map(({ score }) => score)) }))
    .sort((a, b) => b.score - a.score)
}

/** `cat 0.92, 2 × person 0.88`, or `nothing`. */
export function describeSightings(sightings: readonly Sighting[]): string {
  if (sightings.length === 0) return 'nothing'
  return sightings
    .map(({ label, count, score }) => `${count > 1 ? `${count} × ` : ''}${label} ${score.toFixed(2)}`)
    .join(', ')
}
