# The operator's image. Dependencies have a layer of their own, so a change of the source rebuilds
# in seconds. Behind a proxy with its own CA give the builder that bundle:
#   --secret id=ca-bundle,src=/etc/ssl/certs/ca-certificates.crt
FROM debian:bookworm-slim AS python
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/*


FROM python AS builder
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN --mount=type=secret,id=ca-bundle \
    cat /etc/ssl/certs/ca-certificates.crt > /etc/ssl/builder.crt \
 && if [ -f /run/secrets/ca-bundle ]; then cat /run/secrets/ca-bundle >> /etc/ssl/builder.crt; fi
ENV PIP_CERT=/etc/ssl/builder.crt SSL_CERT_FILE=/etc/ssl/builder.crt

ARG UV_VERSION=0.13.8
RUN python3 -m venv /uv && /uv/bin/pip install --no-cache-dir uv==$UV_VERSION
ENV UV_PROJECT_ENVIRONMENT=/venv UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1

WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN /uv/bin/uv sync --frozen --no-dev --no-install-project
COPY README.md LICENSE ./
COPY operator/ray_operator operator/ray_operator
RUN /uv/bin/uv sync --frozen --no-dev --no-editable


FROM python
COPY --from=builder /venv /venv
# kopf asks for the user's name, and a user id without a passwd entry has none but this one. gRPC
# would log every connection that a head ends.
ENV USER=ray-operator GRPC_VERBOSITY=ERROR \
    PATH=/venv/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["ray-operator"]
CMD ["run"]
