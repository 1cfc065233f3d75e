import * as v from 'valibot'
import { dailyWindowSchema } from '../core/daily-window.ts'

/** The `ota` section of the configuration: where new models come from, and what they have to prove. */

const text = v.pipe(v.string(), v.minLength(1))

const hasScheme = (source: string) => /^[a-z][a-z0-9+.-]*:/i.test(source)

/** A source that is no folder. */
export const isSourceUrl = (source: string): boolean => {
  const url = URL.parse(source)
  return /^https?:\/\//i.test(source) && url !== null && url.host !== ''
}

const source = v.pipe(
  text,
  v.check((source) => isSourceUrl(source) || !hasScheme(source), 'https://…, http://… or a folder'),
  v.check(
    (source) => !hasScheme(source) || `${URL.parse(source)?.username ?? ''}${URL.parse(source)?.password ?? ''}` === '',
    'a URL without user name and password',
  ),
)

const host = v.pipe(
  v.string(),
  v.check(
    (host) => URL.parse(`https://${host}`)?.host === host,
    'a host such as cdn.example.org, or cdn.example.org:8443 where the port is not the usual one',
  ),
)

/** The rule of `sightd ota promote --group`. */
export const groupSchema = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
    '1 to 64 letters, digits, hyphens and underscores, a letter or digit first',
  ),
)

export const otaSchema = v.pipe(
  v.strictObject({
    sources: v.pipe(
      v.optional(v.pipe(v.array(source), v.maxLength(8, 'at most 8 of them')), []),
      v.description(
        'Where new models come from: `https://…`, `http://…` or folders (a USB stick) that hold the same repository, best first. A relative path starts at the folder of this file. Empty: no updates.',
      ),
    ),
    root_file: v.pipe(
      v.optional(text),
      v.description(
        "The repository's `1.root.json`, brought along by hand: all trust begins there. Needed for `sources`. A relative path starts at the folder of this file.",
      ),
    ),
    group: v.pipe(v.optional(groupSchema, 'default'), v.description('Whose models this device runs.')),
    ca_file: v.pipe(
      v.optional(text),
      v.description(
        'PEM file of the authorities whose https sources are trusted, instead of the usual ones. A relative path starts at the folder of this file.',
      ),
    ),
    redirect_hosts: v.pipe(
      v.optional(v.pipe(v.array(host), v.maxLength(16, 'at most 16 of them')), []),
      v.description("Hosts that a source may redirect to, beside its own: a bucket's, a CDN's."),
    ),
    poll_h: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(168)), 6),
      v.description('Hours from one look to the next, 20 % more or less by chance.'),
    ),
    install: v.pipe(
      v.optional(v.picklist(['auto', 'manual']), 'auto'),
      v.description('`manual`: a new model waits for the command `install_update`.'),
    ),
    window: v.pipe(
      v.optional(dailyWindowSchema),
      v.description(
        'When a new model may take over, by the local clock: `02:00-04:30`; over midnight too. Where the clock is put forward, a window in the hour that is left out does not come that night. Left out: at any time.',
      ),
    ),
    self_test_s: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(3600)), 120),
      v.description('How long loading a new model and running its golden samples may take, in seconds.'),
    ),
    shadow_s: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(3600)), 60),
      v.description('How long a new model sees live frames beside the one that runs, in seconds; 0: not at all.'),
    ),
    probation_min: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(1440)), 10),
      v.description('How long a new model is on probation at least, in minutes, before it stays.'),
    ),
    probation_results: v.pipe(
      v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100_000)), 500),
      v.description('How many results a new model has to give at least before it stays.'),
    ),
    max_slowdown: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(1.05), v.maxValue(100)), 1.5),
      v.description('A new model may take so many times as long for a run as the one before.'),
    ),
    max_model_mb: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(1024)), 256),
      v.description('Larger models are not downloaded, in MiB.'),
    ),
  }),
  v.forward(
    v.partialCheck(
      [['sources'], ['root_file']],
      ({ sources, root_file }) => sources.length === 0 || root_file !== undefined,
      'given together with ota.sources',
    ),
    ['root_file'],
  ),
  v.forward(
    v.partialCheck(
      [['sources'], ['ca_file']],
      ({ sources, ca_file }) => ca_file === undefined || sources.some((source) => /^https:/i.test(source)),
      'left out, since no ota.sources begins with https://',
    ),
    ['ca_file'],
  ),
  v.forward(
    v.partialCheck(
      [['sources'], ['redirect_hosts']],
      ({ sources, redirect_hosts }) => redirect_hosts.length === 0 || sources.some(isSourceUrl),
      'left out, since no ota.sources is a URL',
    ),
    ['redirect_hosts'],
  ),
)
