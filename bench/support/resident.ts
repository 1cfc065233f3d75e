import { closeSync, openSync, readSync } from 'node:fs'
import { basename } from 'node:path'
import { procFile } from './processes.ts'

const megabyte = 2 ** 20
const pageBytes = 4096

/**
 * Memory of a process in MiB: all that is in RAM for it (RSS), its share of that where pages that N processes of the machine
 * use count 1/N (PSS), and what is its own and in no file. All 0 for one that is gone.
 */
export type Resident = { readonly rss: number; readonly pss: number; readonly anonymous: number }

export function resident(pid: number): Resident {
  const text = procFile(pid, 'smaps_rollup')
  const mb = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024
  return { rss: mb('Rss'), pss: mb('Pss'), anonymous: mb('Anonymous') }
}

/** Resident MiB by what is mapped, the largest first: files by name, `[heap]` and `[anonymous]`. */
export function residentByMapping(pid: number): [name: string, mb: number][] {
  const sums = new Map<string, number>()
  let name = ''
  for (const line of procFile(pid, 'smaps').split('\n')) {
    const path = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+\s*(.*)$/.exec(line)?.[1]
    if (path !== undefined) name = path.startsWith('/') ? basename(path) : path || '[anonymous]'
    const kb = /^Rss:\s+(\d+) kB/.exec(line)?.[1]
    if (kb !== undefined) sums.set(name, (sums.get(name) ?? 0) + Number(kb) / 1024)
  }
  return [...sums].sort(([, a], [, b]) => b - a)
}

/**
 * What processes take of the RAM together, in MiB: a page of a file that several of them use counts once. Unlike a sum of
 * PSS it does not depend on what other processes of the machine use, such as another Node.
 */
export function residentTogether(pids: readonly number[]): number {
  let own = 0
  const ofFiles = new Set<string>()
  for (const pid of pids) {
    for (const [start, end, offset, inode] of mappings(pid)) {
      for (const [page, isOfFile] of presentPages(pid, start, end)) {
        if (isOfFile) ofFiles.add(`${inode}:${offset / pageBytes + page}`)
        else own++
      }
    }
  }
  return ((own + ofFiles.size) * pageBytes) / megabyte
}

function* mappings(pid: number): Generator<[start: number, end: number, offset: number, inode: string]> {
  for (const line of procFile(pid, 'maps').split('\n')) {
    const [, start = '', end = '', offset = '', inode = ''] =
      /^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) (\S+ \d+)/.exec(line) ?? []
    // Pages of the kernel, which no one can look up.
    if (inode !== '' && !start.startsWith('ffffffff'))
      yield [Number.parseInt(start, 16), Number.parseInt(end, 16), Number.parseInt(offset, 16), inode]
  }
}

/** Numbers, from `start` on, of the pages that are in RAM (proc_pid_pagemap(5): bit 63 present, bit 61 of a file). */
function* presentPages(pid: number, start: number, end: number): Generator<[page: number, isOfFile: boolean]> {
  const entries = Buffer.alloc(((end - start) / pageBytes) * 8)
  const file = openSync(`/proc/${pid}/pagemap`, 'r')
  const read = readSync(file, entries, 0, entries.length, (start / pageBytes) * 8)
  closeSync(file)
  for (let page = 0; page * 8 < read; page++) {
    const high = entries.readUInt32LE(page * 8 + 4)
    if (high & 0x8000_0000) yield [page, (high & 0x2000_0000) !== 0]
  }
}
