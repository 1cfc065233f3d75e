export type Pair<A, B> = readonly [A, B]

/**
 * The pairs with the greatest sum of gains, each member in at most one; a gain of 0 or less is no pair.
 *
 * The Hungarian method with shortest augmenting paths (Kuhn 1955; Jonker and Volgenant, "A Shortest Augmenting Path
 * Algorithm for Dense and Sparse Linear Assignment Problems", 1987): one row after the other gets a column, and those
 * before it move over to others where that costs least. O(rows² × columns).
 */
export function bestPairs<A, B>(left: readonly A[], right: readonly B[], gainOf: (a: A, b: B) => number): Pair<A, B>[] {
  const columns: Column<A>[] = Array.from({ length: Math.max(left.length, right.length) }, (_, index) =>
    newColumn(index),
  )
  for (const member of left) {
    // Columns beyond `right` stand for no pair.
    const costs = columns.map((_, index) => {
      const partner = right[index]
      return partner === undefined ? 0 : -Math.max(0, gainOf(member, partner))
    })
    place({ member, costs, potential: 0 }, columns)
  }
  return right.flatMap((partner, index) => {
    const row = columns[index]?.row
    return row !== undefined && (row.costs[index] ?? 0) < 0 ? [[row.member, partner] as const] : []
  })
}

/**
 * Potentials are the dual prices: no cost is less than the sum of its row's and its column's, and those of pairs equal
 * it.
 */
type Row<A> = { readonly member: A; readonly costs: readonly number[]; potential: number }

type Column<A> = {
  readonly index: number
  row: Row<A> | undefined
  potential: number
  /** Of the search under way: the least reduced cost to get here, over which column, and whether that is final. */
  distance: number
  from: Column<A> | undefined
  isReached: boolean
}

function newColumn<A>(index: number): Column<A> {
  return { index, row: undefined, potential: 0, distance: 0, from: undefined, isReached: false }
}

/** Finds the cheapest way from a new row to a free column, and moves each row on it one column on. */
function place<A>(newRow: Row<A>, columns: readonly Column<A>[]): void {
  for (const column of columns) {
    column.distance = Number.POSITIVE_INFINITY
    column.isReached = false
  }
  let reached: Column<A> | undefined
  let row: Row<A> | undefined = newRow
  while (row !== undefined) {
    const nearest: Column<A> | undefined = step(row, reached, columns)
    if (nearest === undefined) return
    raise(nearest.distance, newRow, columns)
    nearest.isReached = true
    reached = nearest
    row = nearest.row
  }
  for (let column = reached; column !== undefined; column = column.from) column.row = column.from?.row ?? newRow
}

/** Looks from a row at all columns that are not reached yet, and gives the nearest. */
function step<A>(row: Row<A>, from: Column<A> | undefined, columns: readonly Column<A>[]): Column<A> | undefined {
  let nearest: Column<A> | undefined
  for (const column of columns) {
    if (column.isReached) continue
    const distance = (row.costs[column.index] ?? 0) - row.potential - column.potential
    if (distance < column.distance) {
      column.distance = distance
      column.from = from
    }
    if (nearest === undefined || column.distance < nearest.distance) nearest = column
  }
  return nearest
}

/** Changes the potentials so that the way to the nearest column costs nothing more. */
function raise<A>(by: number, newRow: Row<A>, columns: readonly Column<A>[]): void {
  newRow.potential += by
  for (const column of columns) {
    if (!column.isReached) column.distance -= by
    else {
      column.potential -= by
      if (column.row !== undefined) column.row.potential += by
    }
  }
}
