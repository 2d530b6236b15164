import type { Config } from '../config.ts';
import { traced } from '../gateway/call-traces.ts';
import type { Gateway } from '../gateway/dispatch.ts';
import type { Closers } from '../shared/closers.ts';
import type { Logger } from '../shared/log.ts';

/** The gateway with a span for every operation, where there is an endpoint for traces; the SDK of OpenTelemetry is loaded only then. */
export async function withTraces(
  gateway: Gateway,
  config: Config,
  { closers, log }: { readonly closers: Closers; readonly log: Logger },
): Promise<Gateway> {
  const { traceEndpoint: url, limits } = config;
  if (url === undefined) return gateway;
  const [{ SpanKind, SpanStatusCode }, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const exporter = new OTLPTraceExporter({ url });
  const processor = new sdk.BatchSpanProcessor({
    exporter,
    maxQueueSize: limits.traceQueueMax,
    maxExportBatchSize: Math.min(512, limits.traceQueueMax),
  });
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'covista' }),
    sampler: new sdk.TraceIdRatioBasedSampler(limits.tracePercent / 100),
    spanProcessors: [processor],
  });
  closers.add(async () => {
    // What the collector does not take holds nothing up.
    await provider.shutdown().catch((err: unknown) => log.warn({ err }, 'the last traces could not be sent'));
  });
  const tracer = provider.getTracer('covista');
  return traced(gateway, ({ operation, requestId, datasetId, startedAtMs, endedAtMs, outcome, error }) => {
    const attributes = {
      'covista.request_id': requestId,
      'covista.outcome': error?.code ?? outcome,
      ...(datasetId === undefined ? {} : { 'covista.dataset_id': datasetId }),
    };
    const span = tracer.startSpan(operation, { kind: SpanKind.SERVER, startTime: startedAtMs, attributes });
    if (error?.code === 'internal') span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(endedAtMs);
  });
}
