"""Formulas that the documents of other packages show, as they stand there.

One a line. Before it may stand the options of a fit, ``family=binomial, weights=size |``; after it,
behind ``=>``, words of the sentence that answers what this version does not fit.
"""

LME4 = """
Reaction ~ Days + (Days | Subject)
Reaction ~ Days + (Days || Subject)
Reaction ~ Days + (1|Subject) + (0+Days|Subject)
Reaction ~ 1 + (1|Subject)
Reaction ~ 1|Subject
Yield ~ 1|Batch
Reaction ~ Days + us(Days | Subject)
Reaction ~ Days + diag(Days | Subject)
Reaction ~ Days + diag(Days | Subject, hom = TRUE) => covariance
Reaction ~ Days + cs(Days | Subject) => covariance
Reaction ~ Daysf + ar1(0 + Daysf | Subject) => covariance
Reaction ~ Days + homdiag(Days | Subject) => covariance
diameter ~ (1|plate) + (1|sample)
strength ~ (1|batch/cask)
strength ~ (1|batch) + (1|batch:cask)
strength ~ (1|batch) + (1|cask)
yield ~ -1 + trt + (1|rep/mp/sp)
angle ~ recipe * temperature + (1|recipe:replicate)
angle ~ recipe + temp + (1|recipe:replicate)
math ~ ses*meanses + (ses | sch.id)
pixel ~ day + I(day^2) + (day | Dog) + (1 | Side/Dog)
pixel ~ day + I(day^2) + (1 | Dog) + (1 | Side/Dog)
distance ~ age + (age|Subject)
distance ~ age + (age|Subject) + (0+nsex|Subject) + (0 + nsexage|Subject)
distance ~ age + (age|Subject) + (0+dummy(Sex, "Female")|Subject)
y ~ service * dept + (1|s) + (1|d)
y ~ f1*f2 + (1|g)
y ~ 1 + (1 | `Animal ID`)
family=binomial | cbind(incidence, size - incidence) ~ period + (1 | herd)
family=binomial | cbind(incidence, size - incidence) ~ period + (1 | herd) + (1|obs)
family=binomial | cbind(incidence, size-incidence) ~ 1 + (1|herd)
family=binomial, weights=size | incidence / size ~ period + (1 | herd)
family=binomial, weights=size | incidence/size ~ period + treatment + avg_size + (1 | herd)
family=binomial | incidence/size ~ period + (1 | herd) => `weights=`
family=binomial | r2 ~ (Anger + Gender + btype + situ)^2 + (1|id) + (1|item)
family=binomial | use ~ age*ch + I(age^2) + urban + (1 + urban | district)
family=binomial | use ~ age_s + I(age_s^2) + urban + livch + (1|district)
family=binomial | use ~ age + urban + us(1 + urban | district)
family=binomial | use ~ age + urban + cs(1 + urban | district) => covariance
family=binomial | Mate ~ (1|Female) + (1 | Male) + Cross
family=binomial | outcome ~ time*treatment + (1 | patientID)
family=binomial | predation ~ ttt2 + (1|block)
family=poisson | shells ~ factor(year) + prev + offset(log(Area)) + (1|Site)
family=poisson | TICKS ~ YEAR + scale(HEIGHT) + (1|BROOD)
circumference ~ SSlogis(age, Asym, xmid, scal) ~ Asym|Tree => nonlinear
Reaction ~ polyDays[ , 1] + polyDays[ , 2] + (1 | Subject) => whole columns
update(base_form, . ~ . + diag(1 + urban|district)) => `~` stands inside brackets
"""

BRMS = """
family=poisson | count ~ zAge + zBase * Trt + (1|patient)
family=poisson | count ~ zAge + zBase * Trt + (1|patient) + (1|obs)
family=poisson | count ~ zAge + zBase * Trt + (1+Trt|visit)
family=poisson | count ~ zAge * zBase * Trt
family=poisson | count ~ Trt + (1|gr(patient))
family=poisson | count ~ Trt + (1|gr(patient, by = Trt)) => more of its levels
family=poisson | count | trunc(ub = 104) ~ zBase * Trt => censored or truncated
family=poisson | count ~ Trt + unstr(visit, patient) => correlated residuals
family=zero_inflated_poisson | count ~ persons + child + camper
family=binomial | incidence | trials(size) ~ period + (1|herd)
family=binomial | success | trials(n) ~ x
family=binomial | y | trials(size) ~ x1 + x2
family=binomial | y | trials(100) ~ x1 + x2
family=binomial | y | trials(size) ~ x1 + x2 + car(W, gr = g) => correlated residuals
family=cumulative | rating ~ treat + period + carry + (1|subject)
family=cumulative | rating ~ period + carry + cs(treat) => give `df=`
family=Gamma | time ~ age + sex + disease + (1 + age|patient)
family=lognormal | time | cens(censored) ~ age + sex + disease + (1|patient) => censored
family=weibull | time ~ age * sex
outcomes | se(sei, sigma = TRUE) ~ 1 => known errors beside a residual sd
outcomes | se(sei) ~ 1 + (1|study)
Zr | se(sqrt(1 / (N - 3))) ~ 1 + (1|obs)
Zr | se(sqrt(1 / (N - 3))) ~ 1 + (1|gr(phylo, cov = A)) + (1|obs) => more of its levels
log(mpg) ~ factor(cyl)
mpg ~ wt + cyl
symptom_post ~ group
weight ~ group
tarsus ~ sex + (1|p|fosternest) + (1|q|dam)
back ~ hatchdate + (1|p|fosternest) + (1|q|dam)
mvbind(tarsus, back) ~ sex + hatchdate + (1|p|fosternest) => several responses
back ~ s(hatchdate) + (1|p|fosternest) => bs(hatchdate, df=4)
y ~ x * z + (1+x|ID1|g)
y ~ x1 + (1|mm(g1, g2)) => multiple membership
y ~ gp(x0) + x1 => Gaussian processes
y ~ me(x, sdx) => errors or missing values
ls ~ mo(income) => monotonic
ls ~ mo(income)*age + (mo(income) | city) => monotonic
ls ~ income
bmi | mi() ~ age * mi(chl) => missing or inexact
x ~ ar(p = 2) => correlated residuals
y ~ b1 * exp(b2 * x) => no column `b1`
y ~ a1 - a2^x => `a2^x`
answer ~ 0.33 + 0.67 * inv_logit(eta) => `I(0.33 + x)`|no arithmetic|not a term
answer ~ guess + (1 - guess) * inv_logit(eta) => brackets
cum ~ ult * (1 - exp(-(dev/theta)^omega)) => brackets
rt | dec(decision) ~ x => what such families need
bf(y ~ x, sigma ~ 0 + x) => give what is in it
bf(count ~ persons + child + camper, zi ~ child) => give what is in it
CRIME ~ INC + HOVAL + sar(COL.nb, type = "lag") => correlated residuals
family=bernoulli, | answer ~ ability
family=categorical | y ~ x => not there yet
family=beta_binomial | y | trials(size) ~ x1 => not there yet
family=skew_normal | y ~ x => not there yet
"""

GLMMTMB = """
family=poisson | count ~ mined + (1 | site)
family=nbinom2 | count~spp * mined + (1|site)
family=poisson | count ~ spp + mined + (1|site)
family=nbinom1 | count ~ mined + (1|spp) => not there yet
family=poisson | NCalls~(FT+ArrivalTime)*SexParent+ offset(log(BroodSize))+(1|Nest)
family=ziPoisson | NCalls~(FT+ArrivalTime)*SexParent+ offset(log(BroodSize))+(1|Nest)
family=poisson | SiblingNegotiation ~ FoodTreatment*SexParent + (1|Nest)+offset(log(BroodSize))
NCalls ~ FoodTreatment + ArrivalTime + (ArrivalTime|Nest) + (1|SexParent)
family=binomial | cbind(incidence, size-incidence) ~ period + (1|herd)
family=binomial, weights=size | incidence/size~period+(1|herd)
family=betabinomial | prop ~ period + (1|herd) => not there yet
family=beta | prop ~ period + (1|herd)
family=tweedie | taeCPUE ~ Avg.Relief + (1 | site.name/reef.name) => not there yet
taeCPUE ~ Avg.Relief + (1 | site.name/reef.name)
Reaction ~ Days + (1|Subject/fDays)
Reaction ~ Days + (1|Year) + (1|Subject)
Reaction ~ Days + homcs(fDays| Subject) => covariance
Reaction ~ 1 + hetar1(fDays + 0| Subject) => covariance
round(Reaction)~Days+(1|Subject)
strength ~ cask + (1|batch) + (1|sample)
yi ~ 1 + (1|study) + (1|id)
yi ~ 1 + (1|study) + equalto(0 + id|g, VCV) => covariance
y ~ ou(times + 0 | group) => covariance
y ~ us(times + 0 | group)
y ~ exp(times + 0 | group) => covariance
z ~ 1 + exp(pos + 0 | group) => covariance
z~a*b*c
calories ~ fat*fiber
Murder~Illiteracy+Population+Area+`HS Grad`
val ~ s(time) => bs(time, df=4)
abund ~ Species + rr(Species + 0|id, d = 1) => covariance
log(range) ~ log(size) + propto(0 + species | dummy, phylo_varcov) => covariance
y ~ Base*trt + Age + Visit + (Visit|subject)
breaks ~ wool * tension
"""

RSTANARM = """
family=binomial | cbind(incidence, size - incidence) ~ size + period + (1|herd)
family=binomial | cbind(Hits, AB - Hits) ~ (1 | Player)
family=binomial | cbind(agree, disagree) ~ education + gender
family=binomial | cbind(y, trials - y) ~ 0 + group
family=binomial | cbind(yes, trials - yes) ~ x1 + x2 + x3
family=binomial | switch ~ dist100 + arsenic
family=binomial | I(mpg > 25) ~ wt
family=binomial | factor(tobgp == "30+") ~ agegp + alcgp
family=binomial | case ~ spontaneous + induced + (1 | education)
family=binomial | cat_pref ~ factor(male) + factor(male) * factor(age) + (1 | state) + (1 | eth)
family=cumulative | tobgp ~ agegp + alcgp => without an order
family=poisson | counts ~ outcome + treatment
family=poisson | counts ~ -1 + outcome + treatment
family=neg_binomial_2 | Days ~ Sex/(Age + Eth*Lrn)
family=poisson, offset=log_exposure | y ~ roach100 + treatment + senior
family=Gamma | clot_time ~ log_plasma * lot_id
family=beta | prop ~ x1 + x2 + x3
Reaction / 10 ~ Days + (Days | Subject)
-bwt ~ smoke + age + race + ptl + ht + ftv
log(Volume) ~ log(Girth) + log(Height)
log(dist) ~ log(speed)
log(earn) ~ height + male
mpg ~ disp * as.factor(cyl)
mpg ~ wt + as.factor(cyl)
mpg ~ wt + (1|cyl) + (1 + wt|gear)
mpg ~ (1 + wt|cyl/gear)
mpg ~ 0 + (1|cyl)
mpg ~ wt + offset(offs)
mpg ~ . => name the columns
mpg ~ -1 + . => name the columns
mpg ~ s(wt) + cyl => bs(wt, df=4)
as.character(mpg) ~ wt + (1|cyl)
SF ~ sex*ldose
Species ~ Petal.Length + Petal.Width => not a number
Petal.Length ~ Petal.Width + Sepal.Length + Sepal.Width
kid_score ~ mom_hs * mom_iq
partyid7 ~ real_ideo + I(race_adj == 1) + as.factor(age_discrete) + educ1 + gender + income
post_test ~ treatment * pre_test
rainfall ~ seeding * (sne + cloudcover + prewetness + echomotion) + time
weightgain ~ 1 + (1|source) + (1|type) + (1|source:type)
weightgain ~ source * type
y ~ 0 + (1 | group) + hc
conc ~ SSfol(Dose, Time, lKe, lKa, lCl) ~ (0 + lKe + lKa + lCl | Subject) => nonlinear
circumference ~ SSlogis(age, Asym, xmid, scal) ~ Asym|Tree => nonlinear
list(logBili ~ year + (1 | id), albumin ~ sex + year + (year | id)) => inside brackets
"""

BAMBI = """
rt ~ condition + (condition|subject) + (1|stimulus)
value ~ condition + age + gender + (1|uid) + (condition|study) + (condition|stimulus)
drugs ~ o + c + e + a + n
family=bernoulli | vote['clinton'] ~ party_id + party_id:age => `{vote == 'clinton'}`
family=bernoulli | {vote == 'clinton'} ~ party_id + party_id:age
family=binomial | p(H, AB) ~ 0 + playerID
family=binomial | prop(y, n) ~ x
family=binomial | proportion(y, n) ~ x
family=binomial | prop(y, 62) ~ x
family=binomial | p(disapprove, n) ~ male_c + eth + (1 | state)
family=poisson | y ~ roach1 + treatment + senior + offset(log_exposure)
family=negativebinomial | daysabs ~ 0 + prog + scale(math_score)
family=negativebinomial | daysabs ~ 0 + prog + scale(math_score) + prog:scale(math_score)
log_radon ~ 1 + floor + log_u + (1 + floor|county)
log_radon ~ 0 + county
Reaction ~ 1 + Days + (1 + Days | Subject)
weight ~ 1 + Time + (1 + Time | Pig)
x ~ poly(t, 2)
x ~ poly(t, 4, raw=True)
x ~ {t**2} + t
x ~ I(t**2) + t
score ~ 0 + np.exp(z) + center(x)
y ~ bs(x, df=6)
y ~ bs(x, knots=knots, intercept=True) => is not allowed
y ~ hsgp(x, m=10, c=2) => Gaussian processes
y ~ standardize(x) + C(f3)
y ~ 0 + f * g
y ~ 0 + f:g
y ~ 1 + f:g
y ~ 1 + g + f:g
y ~ 0 + x*g
y ~ 0 + g + x1:g + x1:x2:g
y ~ 1 + (x1|g) + (x1:x2|h)
BP ~ 0 + (0 + C(age_grp)|BMI)
y ~ x + (g1|g2)
y ~ binary(f) => write a condition
y ~ offset(x)
y ~ x + offset(10) => uses no column
family=vonmises | y ~ x => not there yet
family=weibull | censored(time, status) ~ 1 => censored or truncated
"""

STATSMODELS = """
Weight ~ Time + (1 | Pig)
y ~ np.log(x5) + C(region)
y ~ C(Region, Treatment(reference='E')) + x
y ~ C(Region, Treatment('E'))
y ~ C(Region, Sum)
y ~ C(race, Helmert)
y ~ C(race, Poly)
y ~ standardize(x1) + I(x2 ** 2)
y ~ np.power(x, 2) + np.sqrt(x5)
y ~ x1*x2 - x1:x2
y ~ (x1 + x2 + x3)**2 - x1:x3
y ~ bs(x, df=4, degree=3)
y ~ cr(x, df=4, constraints='center')
"""

PACKAGES = {
    "lme4": LME4,
    "brms": BRMS,
    "glmmTMB": GLMMTMB,
    "rstanarm": RSTANARM,
    "Bambi": BAMBI,
    "statsmodels": STATSMODELS,
}
