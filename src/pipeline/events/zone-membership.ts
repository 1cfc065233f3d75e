import { isInside, type Point, type Polygon } from '../../core/zone.ts'

export type Zone = { readonly name: string; readonly polygon: Polygon }

/** So many sightings in a row must agree that an object entered or left: a box that trembles at a border is no news. */
const inertia = 3

/** The zones that one object is in. A result that did not see it says nothing of them. */
export class ZoneMembership {
  readonly #zones: readonly ZoneState[]
  #sightings = 0

  constructor(zones: readonly Zone[]) {
    this.#zones = zones.map((zone) => ({ zone, isInside: false, inRow: 0, isMember: false, wasMember: false }))
  }

  note(point: Point): void {
    this.#sightings++
    for (const state of this.#zones) {
      const isNowInside = isInside(point, state.zone.polygon)
      state.inRow = isNowInside === state.isInside ? state.inRow + 1 : 1
      state.isInside = isNowInside
      if (state.inRow >= inertia) settle(state)
    }
  }

  /** For an event that begins: fewer sightings than the inertia decide too, if all of them agree. */
  decide(): void {
    for (const state of this.#zones) if (state.inRow === this.#sightings) settle(state)
  }

  get current(): string[] {
    return this.#zones.filter(({ isMember }) => isMember).map(({ zone }) => zone.name)
  }

  get entered(): string[] {
    return this.#zones.filter(({ wasMember }) => wasMember).map(({ zone }) => zone.name)
  }
}

type ZoneState = {
  readonly zone: Zone
  /** What the newest sighting says, and how many in a row have said it. */
  isInside: boolean
  inRow: number
  isMember: boolean
  wasMember: boolean
}

function settle(state: ZoneState): void {
  state.isMember = state.isInside
  state.wasMember ||= state.isInside
}
