import type { Presence, View } from '../../core/scene.ts'

type Visible = { readonly label: string; readonly score: number; readonly zones: readonly string[] }

/** Counts what is in view, in all and for each of the configured zones. */
export function viewOf(visible: readonly Visible[], zoneNames: readonly string[]): View {
  return {
    labels: presences(visible),
    zones: new Map(zoneNames.map((name) => [name, presences(visible.filter(({ zones }) => zones.includes(name)))])),
  }
}

function presences(visible: readonly Visible[]): ReadonlyMap<string, Presence> {
  const found = new Map<string, Presence>()
  for (const { label, score } of visible) {
    const known = found.get(label) ?? { count: 0, score: 0 }
    found.set(label, { count: known.count + 1, score: Math.max(known.score, score) })
  }
  return new Map([...found].sort(([, a], [, b]) => b.score - a.score))
}
