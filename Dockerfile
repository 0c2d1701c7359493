# One image for every actor and for the runner; the command says which.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY sim ./sim
COPY actors ./actors
COPY scenarios ./scenarios
COPY fixtures ./fixtures
# The libc that the image does not have would ride along: only glibc's binary of libsql is kept.
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/@libsql/*-musl dist/.tsbuildinfo && find node_modules -type d -empty -delete

FROM node:20-bookworm-slim
# A name server that is away holds a question, and with it the end of a process, for long; names of actors have no domain to be searched in.
ENV NODE_ENV=production MCPTT_TESTBED_FOLDER=/testbed RES_OPTIONS="timeout:1 attempts:2 ndots:0"
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/fixtures ./fixtures
# Empty volumes take over these folders' owner, so that nothing has to run as root.
RUN for part in public ca runner access-network sip-core mcptt-as idm kms ue ue-b ue-c; do mkdir -p /testbed/$part /out; done && chown -R 10001:10001 /testbed /out
USER 10001:10001
ENTRYPOINT ["node", "dist/sim/cli/main.js"]
CMD ["--help"]
