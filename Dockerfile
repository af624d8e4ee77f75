# Two images from one recipe. `tracking` is MLflow's server. `project`, the last and so the default, serves the champion,
# and runs `kedro` where it is asked to: docker run … mgn_ma kedro run …

FROM python:3.11.15-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DO_NOT_TRACK=true \
    MLFLOW_DISABLE_TELEMETRY=true
RUN useradd --create-home --uid 1000 mgn_ma && python -m venv /opt/venv
WORKDIR /app

# The lock is a constraint here, not a list: an image gets the locked versions of what it needs, and no more.
FROM base AS tracking-environment
COPY requirements.lock ./
RUN pip install --no-cache-dir --constraint requirements.lock mlflow psycopg2-binary boto3

FROM base AS tracking
COPY --from=tracking-environment /opt/venv /opt/venv
USER 1000
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000"]

# Dependencies change less often than code: of the package this layer has its version only. The installation is editable,
# so the code that the next stage copies to the same place is the one that is imported.
FROM base AS project-environment
ARG EXTRAS=s3,postgres
# Where wheels without CUDA are found, see docs/operations.md.
ARG PIP_EXTRA_INDEX_URL
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY src/mgn_ma/__init__.py src/mgn_ma/
RUN pip install --no-cache-dir --constraint requirements.lock --editable ".[${EXTRAS}]"

FROM base AS project
COPY --from=project-environment /opt/venv /opt/venv
COPY --chown=mgn_ma:mgn_ma pyproject.toml .telemetry ./
COPY --chown=mgn_ma:mgn_ma conf conf
COPY --chown=mgn_ma:mgn_ma src src
RUN install -d -o mgn_ma -g mgn_ma /app conf/local data
USER 1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/ping', timeout=4)"]
CMD ["mlflow", "models", "serve", "--model-uri", "models:/mgn-ma@champion", "--env-manager", "local", "--host", "0.0.0.0", "--port", "8080"]
