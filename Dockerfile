# Two images. The service, the operator and the migration runner: the base, Node and bundled files, nothing else; this one is the default.
# `postgres`: PostgreSQL 17 with all its programs, and the same bundles.
# Build:  docker build -t sonoma-storage .     (or: buildah bud -t sonoma-storage .)
#         docker build --target postgres -t sonoma-storage-postgres .
# Run:    docker run --read-only -p 8003:8003 -e DATABASE_URL=postgres://... -e AUTH=token -e AUTH_TOKENS_FILE=... sonoma-storage
# Operator:  docker run ... sonoma-storage /srv/operator/main.js
# Migrate first:  docker run --rm -e DATABASE_URL=... sonoma-storage /srv/migrations/main.js up

# Needs Node and npm; the compiler comes with npm.
ARG BUILD_BASE=docker.io/library/node:24-trixie-slim
# Needs glibc and libstdc++ only.
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# The runtime changes with the lock file, and so before the code: its layer is large.
RUN npm ci --no-audit --no-fund \
 && cp -L "$(node -p "require.resolve('node-linux-' + process.arch + '/bin/node')")" /usr/local/bin/node-runtime
COPY app app
COPY migrations migrations
COPY operator operator
RUN npm run bundle \
 && cp -r node_modules/@fastify/swagger-ui/static dist/app/swagger-ui \
 && find migrations -name '*.sql' -exec cp --parents {} dist/ \;

FROM ${BASE} AS postgres
# The number of the user is fixed before the package makes one of its own; a cluster made by the package would be in the image.
RUN groupadd --gid 65532 postgres \
 && useradd --uid 65532 --gid 65532 --home-dir /var/lib/postgresql --no-create-home postgres \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-common \
 && sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql-17 zstd \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/log/apt /var/log/dpkg.log
COPY --from=build /usr/local/bin/node-runtime /usr/local/bin/node
COPY --from=build /src/dist /srv
# The volume is mounted at /var/lib/postgresql/data, with the data in a folder below it that only the user may enter;
# /var/run/postgresql, /tmp and /dev/shm are volumes too, because the root is read-only.
ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PGDATA=/var/lib/postgresql/data/pgdata LANG=C.UTF-8 NODE_ENV=production
USER 65532:65532
EXPOSE 5432
# SIGTERM would wait for every client to go.
STOPSIGNAL SIGINT
CMD ["postgres", "-c", "listen_addresses=*"]

FROM ${BASE} AS service
COPY --from=build /usr/local/bin/node-runtime /usr/local/bin/node
COPY --from=build /src/dist /srv
# An arena of malloc for each thread costs an idle service 3 MiB. Without a fixed threshold malloc keeps the memory of large buffers.
ENV NODE_ENV=production HOST=0.0.0.0 MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=131072
WORKDIR /srv
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8003 9095
STOPSIGNAL SIGTERM
# Left to itself, V8 gives young objects over 100 MiB during an import; with this it is as fast.
ENTRYPOINT ["/usr/local/bin/node", "--enable-source-maps", "--max-semi-space-size=8"]
CMD ["/srv/app/main.js"]
