import { CovistaError } from '../../protocol/errors.ts';
import type { Metrics } from '../shared/metrics.ts';
import type { Authenticator } from './authenticate.ts';
import { nextRequestId } from './call.ts';
import type { HttpFace, HttpRequest, HttpResponse } from './http.ts';
import { errorResponse } from './rest-response.ts';

interface MetricsFaceOptions {
  readonly metrics: Metrics;
  readonly authenticator: Pick<Authenticator, 'admit'>;
  /** Whether others than this machine can reach the server, so that a server admin's token is asked for. */
  readonly isReachable: boolean;
}

/** `GET /metrics`, and its `HEAD`, in front of another face. */
export function withMetrics(face: HttpFace, { metrics, authenticator, isReachable }: MetricsFaceOptions): HttpFace {
  const permit = async (request: HttpRequest): Promise<void> => {
    if (!isReachable) return;
    const [, token = ''] = /^Bearer +(\S+) *$/i.exec(request.header('authorization')) ?? [];
    const actor = await authenticator.admit(token, request.address);
    if (!actor.serverAdmin) throw new CovistaError('forbidden', 'the metrics are for server admins');
  };
  const answer = async (request: HttpRequest): Promise<HttpResponse> => {
    try {
      await permit(request);
      return {
        status: 200,
        headers: [
          ['content-type', metrics.contentType],
          ['cache-control', 'no-store'],
        ],
        body: { kind: 'whole', content: await metrics.text() },
      };
    } catch (fault) {
      if (fault instanceof CovistaError) return errorResponse(fault, nextRequestId());
      throw fault;
    }
  };
  return { handle: (request) => (request.path === '/metrics' && ['GET', 'HEAD'].includes(request.method) ? answer(request) : face.handle(request)) };
}
