import { constants } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { DiskFile } from './crash-disk-file.ts'
import {
  applyChange,
  type DiskNode,
  type FileNode,
  type FolderNode,
  newFile,
  newFolder,
  newLink,
} from './crash-disk-tree.ts'

/** What is about to be done to a disk; `grows`: it needs room. */
export type DiskOperation = { readonly name: string; readonly path: string; readonly grows: boolean }

/** Reads and looks, which no crash comes to matter at. */
const harmless = new Set(['read', 'stat', 'readdir', 'readlink', 'look', 'openForWriting'])

/**
 * A disk in memory that takes the place of `node:fs/promises` for paths below its `path`: the calls that sightd makes, and an
 * error for all others.
 */
export class CrashDisk {
  readonly path: string
  readonly root: FolderNode
  freeBytes = 1e12
  /** Called before each operation that changes what is on the disk, or what of it is durable: the moments to crash at. */
  onChange: (operation: DiskOperation) => void = () => {}
  /** Asked before each operation, reads as well; gives the code of the error that it fails with, or `SHORT` for half a write. */
  fault: (operation: DiskOperation) => string | undefined = () => undefined
  #changes = 0

  constructor(root: FolderNode = newFolder()) {
    this.root = root
    this.path = `${mounts}/${++mounted}`
    disks.set(this.path, this)
  }

  [Symbol.dispose](): void {
    disks.delete(this.path)
  }

  /** What is in a file now, beside all that happens; undefined when there is none. */
  peek(path: string): Buffer | undefined {
    try {
      const { node } = this.#find(path, true)
      return node?.kind === 'file' ? node.now : undefined
    } catch {
      return undefined
    }
  }

  /** What is in a folder now, beside all that happens; nothing where there is none. */
  names(path: string): string[] {
    try {
      const { node } = this.#find(path, true)
      return node?.kind === 'folder' ? [...node.now.keys()] : []
    } catch {
      return []
    }
  }

  /** Before an operation. Throws the error that is to come instead. */
  begin(name: string, path: string, grows = false): 'whole' | 'short' {
    const operation = { name, path: path.slice(this.path.length + 1), grows }
    if (!harmless.has(name)) this.onChange(operation)
    const code = this.fault(operation)
    if (code === 'SHORT') return 'short'
    if (code !== undefined) throw failure(code, name, path)
    return 'whole'
  }

  async open(path: string, flags: string | number = 'r'): Promise<DiskFile> {
    const bits = typeof flags === 'number' ? flags : flagBits(flags)
    const found = this.#find(path, (bits & (constants.O_NOFOLLOW | constants.O_EXCL)) === 0)
    const { node } = found
    const writes = (bits & (constants.O_WRONLY | constants.O_RDWR)) !== 0
    if (node !== undefined) {
      if ((bits & constants.O_EXCL) !== 0) throw failure('EEXIST', 'open', path)
      if (node.kind === 'link') throw failure('ELOOP', 'open', path)
      if (node.kind === 'folder' && writes) throw failure('EISDIR', 'open', path)
      // A read-only file system lets nobody open a file for writing.
      if (writes) this.begin('openForWriting', path)
      return new DiskFile(this, path, node)
    }
    if ((bits & constants.O_CREAT) === 0) throw failure('ENOENT', 'open', path)
    this.begin('create', path, true)
    const file = newFile()
    this.#change(found.folder, [[found.name, file]])
    return new DiskFile(this, path, file)
  }

  async mkdir(path: string, options: number | { readonly recursive?: boolean } = {}): Promise<string | undefined> {
    const isRecursive = typeof options === 'object' && options.recursive === true
    if (path === this.path) {
      if (isRecursive) return undefined
      throw failure('EEXIST', 'mkdir', path)
    }
    if (isRecursive) await this.mkdir(path.slice(0, path.lastIndexOf('/')), options)
    const { folder, name, node } = this.#find(path, isRecursive)
    if (isRecursive && node?.kind === 'folder') return undefined
    if (node !== undefined) throw failure('EEXIST', 'mkdir', path)
    this.begin('mkdir', path, true)
    this.#change(folder, [[name, newFolder()]])
    return path
  }

  async symlink(goal: string, path: string): Promise<void> {
    const { folder, name, node } = this.#find(path, false)
    if (node !== undefined) throw failure('EEXIST', 'symlink', path)
    this.begin('symlink', path, true)
    this.#change(folder, [[name, newLink(goal)]])
  }

  async rename(from: string, to: string): Promise<void> {
    const source = this.#find(from, false)
    const goal = this.#find(to, false)
    if (source.node === undefined) throw failure('ENOENT', 'rename', from)
    if (goal.node?.kind === 'folder' || source.node.kind === 'folder') throw failure('EISDIR', 'rename', to)
    this.begin('rename', to)
    if (source.folder === goal.folder)
      this.#change(goal.folder, [
        [goal.name, source.node],
        [source.name, undefined],
      ])
    else {
      this.#change(goal.folder, [[goal.name, source.node]])
      // The same moment: there is no prefix that has one of the two only.
      this.#change(source.folder, [[source.name, undefined]], this.#changes)
    }
  }

  async rm(path: string, { force = false, recursive = false } = {}): Promise<void> {
    const { folder, name, node } = this.#find(path, false)
    if (node === undefined) {
      if (force) return
      throw failure('ENOENT', 'rm', path)
    }
    if (node.kind === 'folder') {
      if (!recursive) throw failure('ERR_FS_EISDIR', 'rm', path)
      for (const child of [...node.now.keys()]) await this.rm(`${path}/${child}`, { recursive })
    }
    this.begin('rm', path)
    this.#change(folder, [[name, undefined]])
  }

  async readFile(path: string): Promise<Buffer> {
    await using file = await this.open(path)
    return file.readFile()
  }

  async writeFile(path: string, content: string | Uint8Array): Promise<void> {
    await using file = await this.open(path, 'wx')
    await file.writeFile(content)
  }

  async readdir(path: string): Promise<string[]> {
    const { node } = this.#find(path, true)
    if (node === undefined) throw failure('ENOENT', 'scandir', path)
    if (node.kind !== 'folder') throw failure('ENOTDIR', 'scandir', path)
    this.begin('readdir', path)
    return [...node.now.keys()].sort()
  }

  async readlink(path: string): Promise<string> {
    const { node } = this.#find(path, false)
    if (node === undefined) throw failure('ENOENT', 'readlink', path)
    if (node.kind !== 'link') throw failure('EINVAL', 'readlink', path)
    this.begin('readlink', path)
    return node.goal
  }

  async stat(path: string) {
    return this.#stat(path, true)
  }

  async lstat(path: string) {
    return this.#stat(path, false)
  }

  async statfs(path: string) {
    this.begin('look', path)
    return { bsize: 1, bavail: this.freeBytes, bfree: this.freeBytes, blocks: 1e12 }
  }

  #stat(path: string, follows: boolean) {
    const { node } = this.#find(path, follows)
    if (node === undefined) throw failure('ENOENT', 'stat', path)
    this.begin('stat', path)
    return this.statsOf(node)
  }

  statsOf(node: DiskNode) {
    return {
      size: node.kind === 'file' ? node.now.length : 0,
      ino: node.ino,
      uid,
      nlink: node.kind === 'file' ? namesOf(this.root, node) : 1,
      isFile: () => node.kind === 'file',
      isDirectory: () => node.kind === 'folder',
      isSymbolicLink: () => node.kind === 'link',
    }
  }

  #change(folder: FolderNode, names: readonly [string, DiskNode | undefined][], at = ++this.#changes): void {
    const change = { at, names: new Map(names) }
    applyChange(folder.now, change)
    folder.pending = [...folder.pending, change]
  }

  /** Where a path leads: the folder that has the name, and what is there, if anything. */
  #find(path: string, follows: boolean): { folder: FolderNode; name: string; node: DiskNode | undefined } {
    const above = [this.root]
    const parts = path.slice(this.path.length + 1).split('/')
    if (path === this.path) return { folder: this.root, name: '', node: this.root }
    for (let hops = 0; ; ) {
      const folder = above.at(-1) ?? this.root
      const name = parts.shift() ?? ''
      if (name === '..') {
        above.pop()
        continue
      }
      const node = folder.now.get(name)
      if (node?.kind === 'link' && (parts.length > 0 || follows)) {
        if (++hops > 8) throw failure('ELOOP', 'open', path)
        parts.unshift(...node.goal.split('/'))
        continue
      }
      if (parts.length === 0) return { folder, name, node }
      if (node === undefined) throw failure('ENOENT', 'open', path)
      if (node.kind !== 'folder') throw failure('ENOTDIR', 'open', path)
      above.push(node)
    }
  }
}

function flagBits(flags: string): number {
  if (flags === 'r') return constants.O_RDONLY
  if (flags === 'wx') return constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
  throw new Error(`the disk in memory knows no flags ${flags}`)
}

function namesOf(folder: FolderNode, file: FileNode): number {
  let names = 0
  for (const node of folder.now.values())
    if (node === file) names++
    else if (node.kind === 'folder') names += namesOf(node, file)
  return names
}

function failure(code: string, syscall: string, path: string): Error {
  return Object.assign(new Error(`${code}: in memory, ${syscall} '${path}'`), { code, syscall, path })
}

const uid = process.geteuid?.()
const mounts = '/crash-disk'
let mounted = 0
const disks = new Map<string, CrashDisk>()

for (const [name, original] of Object.entries(fs)) {
  if (typeof original !== 'function') continue
  const routed = (...args: unknown[]) => {
    const path = args.find((arg) => typeof arg === 'string' && arg.startsWith(`${mounts}/`))
    if (typeof path !== 'string') return Reflect.apply(original, fs, args)
    const disk = disks.get(path.split('/', 3).join('/'))
    if (disk === undefined) throw new Error(`${path}: this disk is gone`)
    const method: unknown = Reflect.get(disk, name)
    if (typeof method !== 'function') throw new Error(`the disk in memory knows no ${name}`)
    return Reflect.apply(method, disk, args)
  }
  Object.assign(fs, { [name]: routed })
}
syncBuiltinESMExports()
