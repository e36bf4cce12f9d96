# Fit one formula by lmer(), or with a family by glmer(), again and again; print a JSON line of
# measures.
# Rscript lme4.R DATA FORMULA FACTOR,FACTOR [FAMILY] SECONDS
# As elsewhere: the table, with its factors, is in memory before the clock starts.

suppressPackageStartupMessages(library(lme4))

arguments <- commandArgs(trailingOnly = TRUE)
table <- read.csv(arguments[1])
formula <- as.formula(arguments[2])
for (name in strsplit(arguments[3], ",")[[1]]) table[[name]] <- factor(table[[name]])
budget <- as.numeric(tail(arguments, 1))
family <- if (length(arguments) > 4) sub("bernoulli", "binomial", arguments[4]) else "gaussian"
estimate <- function() {
  if (family == "gaussian") lmer(formula, table) else glmer(formula, table, family = family)
}

invisible(suppressMessages(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)))  # warm

seconds <- c()
while (length(seconds) == 0 || (length(seconds) < 9 && sum(seconds) < budget)) {
  start <- Sys.time()
  fit <- suppressWarnings(suppressMessages(estimate()))
  seconds <- c(seconds, as.numeric(difftime(Sys.time(), start, units = "secs")))
}

# Named as partialpool names them.
term <- function(name) sub("(Intercept)", "Intercept", name, fixed = TRUE)
b <- fixef(fit)
estimates <- setNames(b, sprintf("b[%s]", term(names(b))))
covariances <- VarCorr(fit)
for (k in seq_along(covariances)) {
  group <- names(fit@cnms)[k]  # `||` makes two of one name, which VarCorr() tells apart
  sd <- attr(covariances[[k]], "stddev")
  estimates[sprintf("sd_%s[%s]", group, term(names(sd)))] <- sd
  cor <- attr(covariances[[k]], "correlation")
  for (j in seq_along(sd)) for (i in seq_len(j - 1)) {
    name <- sprintf("cor_%s[%s,%s]", group, term(names(sd)[i]), term(names(sd)[j]))
    estimates[name] <- cor[i, j]
  }
}
if (family == "gaussian") estimates["sigma"] <- sigma(fit)

peak <- function() {
  status <- "/proc/self/status"
  if (!file.exists(status)) return("null")
  line <- grep("^VmHWM:", readLines(status), value = TRUE)
  sprintf("%.1f", as.numeric(gsub("[^0-9]", "", line)) / 1000)
}
json <- function(values) {
  body <- sprintf("%s: %.10g", encodeString(names(values), quote = '"'), values)
  paste0("{", paste(body, collapse = ", "), "}")
}
# Its folder names the BLAS: "openblas-pthread/libblas.so.3", or "blas/…", which is the slow one.
blas <- extSoftVersion()[["BLAS"]]
versions <- sprintf(
  '{"lme4": "%s", "R": "%s", "BLAS": %s}', packageVersion("lme4"), getRversion(),
  encodeString(file.path(basename(dirname(blas)), basename(blas)), quote = '"')
)
cat(sprintf(
  '{"versions": %s, "seconds": {"fit": [%s]}, "megabytes": %s, "estimates": %s}\n',
  versions, paste(sprintf("%.6f", seconds), collapse = ", "), peak(), json(estimates)
))
