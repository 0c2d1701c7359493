/** Figures of one KMS: its own registry, so that two in one process never mix. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { Json } from '../../sim/control/actor.ts';
import type { Audit } from './audit.ts';

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'resource' | 'status'>;
  readonly #audited: Counter<'event'>;

  constructor() {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: 'kms_requests_total',
      help: 'HTTP-1 requests answered, by resource and status',
      labelNames: ['resource', 'status'],
      registers,
    });
    this.#audited = new Counter({
      name: 'kms_audit_events_total',
      help: 'What happened to key material and CEKs, by the name that the audit log gives it',
      labelNames: ['event'],
      registers,
    });
  }

  request(resource: string, status: number): void {
    this.#requests.inc({ resource, status });
  }

  observe(parts: { streams: () => number; audit: Audit }): void {
    parts.audit.onEntry((event) => this.#audited.inc({ event }));
    this.#registry.removeSingleMetric('kms_event_streams');
    new Gauge({
      name: 'kms_event_streams',
      help: 'Event streams of clients that are open',
      registers: [this.#registry],
      collect() {
        this.set(parts.streams());
      },
    });
  }

  /** `{name: [{labels, value}]}` */
  async read(): Promise<Json> {
    const metrics = await this.#registry.getMetricsAsJSON();
    return Object.fromEntries(
      metrics.map((metric) => [
        metric.name,
        metric.values.map(({ labels, value }) => ({ labels: JSON.parse(JSON.stringify(labels)) as Json, value })),
      ]),
    );
  }
}
