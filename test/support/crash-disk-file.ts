import type { CrashDisk } from './crash-disk.ts'
import { applyChange, type FileNode, type FolderNode, synced } from './crash-disk-tree.ts'

/** An open file, or folder, of a CrashDisk: of a FileHandle what sightd uses. */
export class DiskFile implements AsyncDisposable {
  readonly #disk: CrashDisk
  readonly #path: string
  readonly #node: FileNode | FolderNode
  #isOpen = true

  constructor(disk: CrashDisk, path: string, node: FileNode | FolderNode) {
    this.#disk = disk
    this.#path = path
    this.#node = node
  }

  async read(buffer: Buffer, offset: number, length: number, position: number) {
    const { now } = this.#file()
    this.#disk.begin('read', this.#path)
    const bytesRead = now.copy(buffer, offset, position, Math.min(now.length, position + length))
    return { buffer, bytesRead }
  }

  async readFile(): Promise<Buffer> {
    const { now } = this.#file()
    this.#disk.begin('read', this.#path)
    return Buffer.from(now)
  }

  async write(buffer: Uint8Array, offset: number, length: number, position: number) {
    const file = this.#file()
    const isShort = this.#disk.begin('write', this.#path, position + length > file.now.length) === 'short'
    const bytes = buffer.subarray(offset, offset + (isShort ? length >> 1 : length))
    const end = position + bytes.length
    const next = Buffer.alloc(Math.max(file.now.length, end))
    file.now.copy(next)
    next.set(bytes, position)
    file.now = next
    file.dirty = [...file.dirty, [position, end]]
    return { buffer, bytesWritten: bytes.length }
  }

  async writeFile(content: string | Uint8Array): Promise<void> {
    const bytes = Buffer.from(content)
    for (let at = 0; at < bytes.length; ) at += (await this.write(bytes, at, bytes.length - at, at)).bytesWritten
  }

  async truncate(length: number): Promise<void> {
    const file = this.#file()
    this.#disk.begin('truncate', this.#path)
    file.now = Buffer.from(file.now.subarray(0, length))
    file.dirty = [...file.dirty.filter(([from]) => from < length), [length, length]]
  }

  /** One that fails has dropped what was to be written: later ones know nothing of it (as Linux does it, see fsync(2)). */
  async sync(): Promise<void> {
    this.#requireOpen()
    const node = this.#node
    try {
      this.#disk.begin('sync', this.#path)
    } catch (error) {
      if (node.kind === 'file') node.dirty = []
      throw error
    }
    if (node.kind === 'file') {
      node.durable = node.dirty.length === 0 ? node.durable : synced(node)
      node.dirty = []
      return
    }
    for (const change of node.pending) applyChange(node.durable, change)
    node.pending = []
  }

  async stat() {
    this.#requireOpen()
    this.#disk.begin('stat', this.#path)
    return this.#disk.statsOf(this.#node)
  }

  async close(): Promise<void> {
    this.#isOpen = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #file(): FileNode {
    this.#requireOpen()
    if (this.#node.kind === 'folder') throw Object.assign(new Error('EISDIR'), { code: 'EISDIR' })
    return this.#node
  }

  #requireOpen(): void {
    if (!this.#isOpen) throw Object.assign(new Error('EBADF: it was closed'), { code: 'EBADF' })
  }
}
