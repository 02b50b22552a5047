import { noTracing, type Tracing, type TracingOptions } from './tracing.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Whether OpenTelemetry's own environment variables ask for traces: `OTEL_TRACES_EXPORTER=otlp`, or an endpoint of OTLP
 * and no other exporter; never with `OTEL_SDK_DISABLED=true`.
 */
export function wantsTraces(env: Environment): boolean {
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return false;
  const exporters = env['OTEL_TRACES_EXPORTER'] ?? '';
  if (exporters !== '') return exporters.split(',').some((name) => name.trim() === 'otlp');
  return ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'].some((name) => (env[name] ?? '') !== '');
}

/**
 * Tracing as the environment asks for it. OpenTelemetry is loaded only where it does. Dispose of it at the process's end:
 * what was not sent yet is sent then, for 2 seconds at most.
 */
export async function openTracing(options: TracingOptions, env: Environment = process.env): Promise<Tracing> {
  if (!wantsTraces(env)) return noTracing;
  const { openTelemetry } = await import('./open-telemetry.js');
  return openTelemetry(options, env);
}
