# The service and the migration runner in one image: the base, Node and bundled files, nothing else.
# Build:  docker build -t sonoma-storage .     (or: buildah bud -t sonoma-storage .)
# Run:    docker run --read-only -p 8003:8003 -e DATABASE_URL=postgres://... -e AUTH=token -e AUTH_TOKENS_FILE=... sonoma-storage
# Migrate first:  docker run --rm -e DATABASE_URL=... sonoma-storage /srv/migrations/main.js up

# Needs Node and npm; the compiler comes with npm.
ARG BUILD_BASE=docker.io/library/node:24-trixie-slim
# Needs glibc and libstdc++ only.
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY app app
COPY migrations migrations
RUN npm run bundle \
 && cp -r node_modules/@fastify/swagger-ui/static dist/app/swagger-ui \
 && find migrations -name '*.sql' -exec cp --parents {} dist/ \; \
 && cp -L "$(node -p "require.resolve('node-linux-' + process.arch + '/bin/node')")" /usr/local/bin/node-runtime

FROM ${BASE}
COPY --from=build /usr/local/bin/node-runtime /usr/local/bin/node
COPY --from=build /src/dist /srv
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /srv
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8003 9095
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node", "--enable-source-maps"]
CMD ["/srv/app/main.js"]
