# Run what a page of docs/move-over/ shows of R, and write the numbers that it gives.
# Rscript tests/reference/move_over/peers.R lme4   (or brms, effects), from the root.
# Blocks of ```r run in order; then every line of R in the second column of the tables.

# brms needs Stan, and Stan the headers of Boost: BOOST=/usr/include, where no package BH has them.

page <- commandArgs(trailingOnly = TRUE)[1]
if (nzchar(Sys.getenv("BOOST"))) rstan::rstan_options(boost_lib = Sys.getenv("BOOST"))
root <- getwd()
lines <- readLines(file.path(root, "docs", "move-over", paste0(page, ".md")), encoding = "UTF-8")

# A folder such as readers have, with the data sets beside.
folder <- tempfile()
dir.create(folder)
file.symlink(file.path(root, "tests", "data"), file.path(folder, "data"))
invisible(file.copy(
  file.path(root, "python", "partialpool", "datasets", "radon_mn.csv"), folder
))
setwd(folder)

term <- function(name) gsub("(Intercept)", "Intercept", name, fixed = TRUE)

# Names of sds and correlations as partialpool has them, but for the order within interactions.
scales <- function(fit) {
  found <- as.data.frame(lme4::VarCorr(fit))
  groups <- sub("\\.[0-9]+$", "", found$grp)  # `||` makes two of one name
  names <- ifelse(
    found$grp == "Residual", "sigma",
    ifelse(
      is.na(found$var2), sprintf("sd_%s[%s]", groups, term(found$var1)),
      sprintf("cor_%s[%s,%s]", groups, term(found$var1), term(found$var2))
    )
  )
  found <- setNames(found$sdcor, names)
  theta <- lme4::getME(fit, "glmer.nb.theta")
  if (length(theta) && !is.na(theta)) found["shape"] <- theta
  found
}

# Numbers of an answer: a named vector for fits, else column by column.
numbers <- function(x) {
  if (inherits(x, "merMod")) return(c(setNames(lme4::fixef(x), paste0("b", seq_along(lme4::fixef(x)))), scales(x)))
  if (inherits(x, "VarCorr.merMod")) return(as.data.frame(x)$sdcor)
  if (inherits(x, "brmsfit")) {
    found <- brms::posterior_summary(x)[, "Estimate"]
    found <- found[grepl("^(b|sd|cor)_|^(sigma|nu|shape|phi|zi)$", names(found)) & found != 0]
    names(found) <- sub("^sd_(.+)__(.+)$", "sd_\\1[\\2]", names(found))
    names(found) <- sub("^cor_(.+)__(.+)__(.+)$", "cor_\\1[\\2,\\3]", names(found))
    return(found[order(grepl("^b_sigma_", names(found)))])  # a known sigma is 0
  }
  if (inherits(x, "brmshypothesis")) return(x$hypothesis$Estimate)
  if (inherits(x, "loo")) return(x$estimates["elpd_loo", "Estimate"])
  if (inherits(x, "emmGrid")) x <- as.data.frame(summary(x))
  if (is.matrix(x) && "Estimate" %in% colnames(x)) return(unname(x[, "Estimate"]))
  if (is.data.frame(x)) {
    x <- x[vapply(x, is.numeric, TRUE)]
    wanted <- intersect(c("estimate", "emmean", "prob", "rate", "response", "ratio", "odds.ratio",
      grep("[.]trend$", names(x), value = TRUE)), names(x))
    if (length(wanted)) x <- x[wanted[1]]
  }
  if (is.matrix(x) || is.list(x)) x <- unlist(x)
  x <- suppressWarnings(as.numeric(x))
  x[!is.na(x)]
}

json <- function(x) {
  values <- ifelse(is.finite(x), sprintf("%.10g", x), "null")
  if (is.null(names(x))) return(paste0("[", paste(values, collapse = ", "), "]"))
  paste0("{", paste(sprintf("%s: %s", encodeString(names(x), quote = '"'), values), collapse = ", "), "}")
}
quoted <- function(text) paste0('"', gsub('"', '\\"', gsub("\\", "\\\\", text, fixed = TRUE), fixed = TRUE), '"')

inside <- FALSE
block <- character()
code <- list()  # blocks and cells, in the order of the page
for (line in lines) {
  if (inside && line == "```") {
    code[[length(code) + 1]] <- list(kind = "block", text = paste(block, collapse = "\n"))
    inside <- FALSE
  } else if (inside) {
    block <- c(block, line)
  } else if (line == "```r") {
    inside <- TRUE
    block <- character()
  } else if (startsWith(line, "|")) {
    cells <- trimws(strsplit(line, "(?<!\\\\)\\|", perl = TRUE)[[1]])
    if (length(cells) == 5 && grepl("^`[^`]+`$", cells[3]) && grepl("^`[^`]+`$", cells[4])) {
      code[[length(code) + 1]] <- list(
        kind = if (cells[5] == "runs") "runs" else "cell", text = gsub("\\|", "|", gsub("`", "", cells[3]), fixed = TRUE)
      )
    }
  }
}

found <- character()
for (part in code) {
  value <- suppressWarnings(suppressMessages(eval(parse(text = part$text), globalenv())))
  if (part$kind != "block") {
    given <- if (part$kind == "cell") json(numbers(value)) else "[]"  # what is not compared
    found <- c(found, sprintf("  %s: %s", quoted(part$text), given))
    cat(part$text, "\n")
  }
}
versions <- vapply(setdiff(loadedNamespaces(), rownames(installed.packages(priority = "base"))),
  function(name) as.character(packageVersion(name)), "")
versions <- versions[names(versions) %in% c("lme4", "brms", "rstan", "emmeans", "marginaleffects")]
head <- sprintf('  "versions": %s', quoted(paste(c("R", names(versions)),
  c(as.character(getRversion()), versions), collapse = ", ")))
out <- file.path(root, "tests", "reference", "move_over", paste0(page, ".json"))
writeLines(c("{", paste(c(head, found), collapse = ",\n"), "}"), out)
