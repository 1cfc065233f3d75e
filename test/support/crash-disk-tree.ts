import { createHash } from 'node:crypto'

/** What is on a disk now, and what of it would still be there if the power went (POSIX: what was synced, and whatever else). */

type Range = readonly [from: number, to: number]

export type FileNode = {
  readonly kind: 'file'
  readonly ino: number
  /** Never changed in place. */
  now: Buffer
  durable: Buffer
  /** Of `now`, what the next sync brings to the disk. */
  dirty: readonly Range[]
}

export type LinkNode = { readonly kind: 'link'; readonly ino: number; readonly goal: string }

export type FolderNode = {
  readonly kind: 'folder'
  readonly ino: number
  readonly now: Map<string, DiskNode>
  readonly durable: Map<string, DiskNode>
  /** From `durable` to `now`. */
  pending: readonly Change[]
}

export type DiskNode = FileNode | LinkNode | FolderNode

/** Names that come and go in one step. */
export type Change = {
  /** Its place among all changes of the disk. */
  readonly at: number
  readonly names: ReadonlyMap<string, DiskNode | undefined>
}

let inodes = 0

export const newFile = (): FileNode => ({
  kind: 'file',
  ino: ++inodes,
  now: Buffer.of(),
  durable: Buffer.of(),
  dirty: [],
})
export const newLink = (goal: string): LinkNode => ({ kind: 'link', ino: ++inodes, goal })
export const newFolder = (): FolderNode => ({
  kind: 'folder',
  ino: ++inodes,
  now: new Map(),
  durable: new Map(),
  pending: [],
})

export function applyChange(names: Map<string, DiskNode>, change: Change): void {
  for (const [name, node] of change.names)
    if (node === undefined) names.delete(name)
    else names.set(name, node)
}

/** What a sync of the file brings to the disk: what was written since the last one, and nothing else. */
export function synced({ now, durable, dirty }: FileNode): Buffer {
  const bytes = Buffer.alloc(now.length)
  durable.copy(bytes)
  for (const [from, to] of dirty) now.copy(bytes, from, from, Math.min(to, now.length))
  return bytes.equals(now) ? now : bytes
}

const sectorBytes = 512

/** The first sector of each, or half of what is shorter; or all but that. */
const parts = ({ dirty }: FileNode, part: 'first' | 'rest'): Range[] =>
  dirty.map(([from, to]) => {
    const middle = from + Math.min(sectorBytes, (to - from) >> 1)
    return part === 'first' ? [from, middle] : [middle, to]
  })

/** How bytes that were not synced can come out of a power cut. */
const tears = {
  lost: ({ durable }: FileNode) => durable,
  kept: (file: FileNode) => synced(file),
  /** The new length, and nothing in it. */
  empty: (file: FileNode) => synced({ ...file, dirty: [] }),
  front: (file: FileNode) => synced({ ...file, dirty: parts(file, 'first') }),
  back: (file: FileNode) => synced({ ...file, dirty: parts(file, 'rest') }),
}
type Tear = keyof typeof tears
const allTears: readonly Tear[] = ['lost', 'kept', 'empty', 'front', 'back']
type TearOf = (file: FileNode) => Tear

/**
 * The disks that a power cut can leave, all of them durable. Names: each prefix of what was not synced, in the order in which
 * it was done, and each folder's changes without those of the others, or only those missing. Data: each file that was not
 * synced lost, kept, with zeros, or part of it, each combination of these for up to two files.
 */
export function* afterPowerCut(root: FolderNode): Generator<FolderNode> {
  for (const isKept of nameChoices(foldersIn(root))) {
    const torn = new Set<FileNode>()
    yield frozen(root, isKept, (file) => {
      if (file.dirty.length > 0) torn.add(file)
      return 'lost'
    })
    for (const tearOf of tearChoices([...torn])) yield frozen(root, isKept, tearOf)
  }
}

function* nameChoices(folders: readonly FolderNode[]): Generator<(folder: FolderNode, change: Change) => boolean> {
  const unsynced = folders.filter(({ pending }) => pending.length > 0)
  const all = unsynced.flatMap(({ pending }) => pending.map(({ at }) => at)).sort((a, b) => a - b)
  yield () => false
  for (const last of all) yield (_, { at }) => at <= last
  if (unsynced.length < 2) return
  for (const one of unsynced) {
    yield (folder) => folder === one
    yield (folder) => folder !== one
  }
}

function* tearChoices(files: readonly FileNode[]): Generator<TearOf> {
  if (files.length === 0) return
  for (const a of allTears) {
    yield () => a
    if (files.length === 2) for (const b of allTears) yield (file) => (file === files[0] ? a : b)
  }
}

/** A disk on which all is durable. */
function frozen(root: FolderNode, isKept: (folder: FolderNode, change: Change) => boolean, tearOf: TearOf): FolderNode {
  const made = new Map<DiskNode, DiskNode>()
  const freeze = (node: DiskNode): DiskNode => {
    const known = made.get(node)
    if (known !== undefined) return known
    const fresh = node.kind === 'folder' ? { ...newFolder(), ino: node.ino } : freezeLeaf(node)
    made.set(node, fresh)
    if (node.kind !== 'folder' || fresh.kind !== 'folder') return fresh
    const names = new Map(node.durable)
    for (const change of node.pending) if (isKept(node, change)) applyChange(names, change)
    for (const [name, child] of names) {
      fresh.now.set(name, freeze(child))
      fresh.durable.set(name, freeze(child))
    }
    return fresh
  }
  const freezeLeaf = (node: FileNode | LinkNode): FileNode | LinkNode => {
    if (node.kind === 'link') return node
    const bytes = tears[tearOf(node)](node)
    return { ...node, now: bytes, durable: bytes, dirty: [] }
  }
  const fresh = freeze(root)
  if (fresh.kind !== 'folder') throw new Error('the root is a folder')
  return fresh
}

/** The same disk with all that is not synced yet, as a process leaves it that was killed. */
export function copyOf(root: FolderNode): FolderNode {
  const made = new Map<DiskNode, DiskNode>()
  const copy = (node: DiskNode): DiskNode => {
    const known = made.get(node)
    if (known !== undefined) return known
    if (node.kind === 'link') return node
    if (node.kind === 'file') {
      const file = { ...node }
      made.set(node, file)
      return file
    }
    const folder = { ...newFolder(), ino: node.ino }
    made.set(node, folder)
    for (const [name, child] of node.now) folder.now.set(name, copy(child))
    for (const [name, child] of node.durable) folder.durable.set(name, copy(child))
    folder.pending = node.pending.map(({ at, names }) => ({
      at,
      names: new Map([...names].map(([name, child]) => [name, child === undefined ? undefined : copy(child)])),
    }))
    return folder
  }
  const fresh = copy(root)
  if (fresh.kind !== 'folder') throw new Error('the root is a folder')
  return fresh
}

/** Equal for disks that no process, and no power cut, could tell apart. */
export function keyOf(root: FolderNode): string {
  const numbers = new Map<DiskNode, number>()
  const text: string[] = []
  const put = (node: DiskNode | undefined): void => {
    if (node === undefined) return void text.push('-')
    const known = numbers.get(node)
    if (known !== undefined) return void text.push(`#${known}`)
    numbers.set(node, numbers.size)
    if (node.kind === 'link') text.push('L', node.goal)
    else if (node.kind === 'file') text.push('F', digestOf(node.now), digestOf(node.durable), String(node.dirty))
    else {
      text.push('D')
      for (const names of [node.now, node.durable]) putNames(names)
      for (const { names } of node.pending) putNames(names)
    }
  }
  const putNames = (names: ReadonlyMap<string, DiskNode | undefined>): void => {
    text.push('{')
    for (const name of [...names.keys()].sort()) {
      text.push(name)
      put(names.get(name))
    }
    text.push('}')
  }
  put(root)
  return createHash('sha1').update(text.join('\n')).digest('base64')
}

const digests = new WeakMap<Buffer, string>()

function digestOf(bytes: Buffer): string {
  const digest = digests.get(bytes) ?? createHash('sha1').update(bytes).digest('base64')
  digests.set(bytes, digest)
  return digest
}

function foldersIn(root: FolderNode): FolderNode[] {
  const found = new Set([root])
  // By all names that they have, had or may have after a power cut.
  for (const { now, durable, pending } of found)
    for (const node of [...now.values(), ...durable.values(), ...pending.flatMap(({ names }) => [...names.values()])])
      if (node?.kind === 'folder') found.add(node)
  return [...found]
}
