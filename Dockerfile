# One file, three images: `--target console` (small, no torch), `--target backend`, `--target training`.
FROM python:3.11.14-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --create-home --uid 10001 replybench
WORKDIR /app

FROM base AS console
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY replybench replybench
COPY console console
RUN pip install --constraint constraints.txt --editable ".[console]"
USER 10001
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=2)"]
CMD ["replybench", "console", "--host", "0.0.0.0", "--port", "8501"]

FROM base AS models
COPY constraints.txt pyproject.toml README.md LICENSE ./
# PyTorch first and by its exact pin. Set PIP_EXTRA_INDEX_URL to PyTorch's CPU index for a build without CUDA.
ARG PIP_EXTRA_INDEX_URL=""
RUN pip install --constraint constraints.txt torch==2.13.0
COPY replybench replybench
COPY db db
COPY backend backend
COPY lineups lineups

FROM models AS backend
RUN pip install --constraint constraints.txt --editable ".[backend,models]"
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=300s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["replybench", "serve", "--host", "0.0.0.0", "--port", "8000"]

FROM models AS training
COPY training training
RUN pip install --constraint constraints.txt --editable ".[training]"
USER 10001
ENTRYPOINT ["replybench"]
