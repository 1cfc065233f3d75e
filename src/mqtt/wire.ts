/** What a connection to a broker is made of, and what goes in and out of it. */

export type BrokerSettings = {
  readonly url: string
  readonly clientId: string
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** PEM: whom to trust instead of the usual authorities; our certificate and its key. */
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly key?: Buffer | undefined
  /** A link that is silent for 1.5 times as long is dead. */
  readonly keepaliveS?: number
  /** How long the broker keeps subscriptions and messages for us; 0: a session of this connection only. */
  readonly sessionExpiryS?: number
  readonly will?: Pick<OutgoingMessage, 'topic' | 'payload'> & { readonly delayS: number }
  /** What login and TLS may take. */
  readonly limitMs?: number
  /** A connection on which no answer comes for so long, and for as long as a slow network takes to send, is ended. */
  readonly answerLimitMs?: number
}

export type IncomingMessage = {
  readonly topic: string
  readonly payload: Buffer
  readonly isRetained: boolean
  /** MQTT 5: seconds until nobody wants it any more. */
  readonly expiryS?: number | undefined
  readonly responseTopic?: string | undefined
  readonly correlationData?: Buffer | undefined
}

/** Properties are left out where the broker speaks MQTT 3.1.1. */
export type OutgoingMessage = {
  readonly topic: string
  readonly payload: string | Buffer
  readonly isRetained?: boolean
  readonly expiryS?: number
  readonly contentType?: string
  readonly correlationData?: Buffer | undefined
  readonly userProperties?: Readonly<Record<string, string>>
}

/**
 * `refused`: the broker will never have it; `forbidden`: it will not have it now, someone has to allow it; `lost`: nobody
 * knows, the connection is gone.
 */
export type Delivery = 'done' | 'refused' | 'too_large' | 'forbidden' | 'lost'

export type Subscription = {
  readonly filter: string
  /** Deliver what is retained there too. */
  readonly wantsRetained?: boolean
  /** MQTT 5: say of what is published now whether it is to be retained, so that it can be refused. */
  readonly tellsRetained?: boolean
}
